import type { Architecture } from "./architecture.ts";
import { postNormEncoder } from "./post-norm.ts";

/**
 * RoBERTa, XLM-RoBERTa and CamemBERT: Liu et al. 2019, Conneau et al. 2020, Martin et al. 2020; `RobertaModel` in transformers. BERT's encoder; the
 * positions of a text start behind the padding index, as fairseq numbers them.
 */
export const roberta: Architecture = postNormEncoder({
  modelTypes: ["roberta", "xlm-roberta", "camembert"],
  transformersClasses: { roberta: "Roberta", "xlm-roberta": "XLMRoberta", camembert: "Camembert" },
  prefix: "roberta.",
  defaults: { padTokenId: 1 },
  lmHead: { dense: "lm_head.dense", norm: "lm_head.layer_norm", bias: "lm_head.bias", activation: "gelu" },
  firstPosition: ({ padTokenId }) => padTokenId + 1,
  // `RobertaClassificationHead`: current checkpoints have no pooler, its like is part of the classifier.
  peftModules: {
    SEQ_CLS: {
      "pooler.dense": "base_model.classifier.dense",
      "base_model.classifier": "base_model.classifier.out_proj",
    },
  },
});
