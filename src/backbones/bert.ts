import type { Architecture } from "./architecture.ts";
import { postNormEncoder } from "./post-norm.ts";

/** BERT and models of its architecture (MiniLM): Devlin et al. 2019; `BertModel` in transformers. */
export const bert: Architecture = postNormEncoder({
  modelTypes: ["bert"],
  transformersClasses: { bert: "Bert" },
  prefix: "bert.",
  defaults: { padTokenId: 0 },
  lmHead: {
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    bias: "cls.predictions.bias",
  },
  firstPosition: () => 0,
  peftModules: {},
});
