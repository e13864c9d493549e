export type { Head, HeadInputs, LinearReading, Readout } from "./head.ts";
export { type HeadDropout, headBias, headWeight } from "./linear.ts";
export {
  meanOverTokens,
  type Pooling,
  poolingNames,
  type SequenceHeadOptions,
  sequenceHead,
} from "./sequence.ts";
export { spanHead, type TokenHeadOptions, tokenHead } from "./token.ts";
export { type LabelPieces, pieceCounts, verbalizerHead } from "./verbalizer.ts";
