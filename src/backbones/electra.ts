import type { Architecture } from "./architecture.ts";
import { postNormEncoder } from "./post-norm.ts";

/**
 * ELECTRA: Clark et al. 2020, arXiv 2003.10555; `ElectraModel` in transformers. BERT's encoder, whose embeddings may be
 * narrower than its hidden states. Discriminators have no masked-LM head, generators do.
 */
export const electra: Architecture = postNormEncoder({
  modelTypes: ["electra"],
  transformersClasses: { electra: "Electra" },
  prefix: "electra.",
  defaults: { padTokenId: 0, embeddingSize: (given = 128) => given },
  lmHead: {
    dense: "generator_predictions.dense",
    norm: "generator_predictions.LayerNorm",
    bias: "generator_lm_head.bias",
    activation: "gelu",
  },
  firstPosition: () => 0,
  // `ElectraClassificationHead`: checkpoints have no pooler, its like is part of the classifier.
  pooler: { activation: "gelu" },
  peftModules: {
    SEQ_CLS: {
      "pooler.dense": "base_model.classifier.dense",
      "base_model.classifier": "base_model.classifier.out_proj",
    },
  },
});
