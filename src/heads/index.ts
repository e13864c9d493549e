export type { Head, HeadInputs, PeftHead } from "./head.ts";
export {
  headBias,
  headWeight,
  meanOverTokens,
  type Pooling,
  type SequenceHeadOptions,
  sequenceHead,
} from "./sequence.ts";
