import type { Architecture } from "./architecture.ts";
import { postNormEncoder } from "./post-norm.ts";

/**
 * DistilBERT: Sanh et al. 2019, arXiv 1910.01108; `DistilBertModel` in transformers. BERT's encoder without segments,
 * under names and configuration keys of its own. The layer in front of the classifier of
 * `DistilBertForSequenceClassification` stands for a pooler.
 */
export const distilbert: Architecture = postNormEncoder({
  modelTypes: ["distilbert"],
  transformersClasses: { distilbert: "DistilBert" },
  prefix: "distilbert.",
  defaults: { padTokenId: 0, typeVocabSize: 0 },
  keys: {
    hidden_size: "dim",
    num_hidden_layers: "n_layers",
    num_attention_heads: "n_heads",
    intermediate_size: "hidden_dim",
    hidden_act: "activation",
    hidden_dropout_prob: "dropout",
    attention_probs_dropout_prob: "attention_dropout",
  },
  // The configuration has no keys for these.
  parseOwn: (config) => ({ ...config, typeVocabSize: 0, layerNormEpsilon: 1e-12 }),
  renames: [
    ["encoder.layer.", "transformer.layer."],
    [/\.attention\.self\.([qkv])[a-z]+\./, ".attention.$1_lin."],
    [".attention.output.dense.", ".attention.out_lin."],
    [".attention.output.LayerNorm.", ".sa_layer_norm."],
    [".intermediate.dense.", ".ffn.lin1."],
    [".output.dense.", ".ffn.lin2."],
    [".output.LayerNorm.", ".output_layer_norm."],
  ],
  lmHead: { dense: "vocab_transform", norm: "vocab_layer_norm", bias: "vocab_projector.bias" },
  firstPosition: () => 0,
  promptPositionOffset: () => 0,
  pooler: { activation: "relu", module: "pre_classifier" },
  undropped: "attention",
  peftModules: {},
  peftRefusals: { PREFIX_TUNING: "transformers' DistilBERT takes no keys and values from outside" },
});
