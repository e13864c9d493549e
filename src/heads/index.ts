export type { Head, HeadInputs, PeftHead } from "./head.ts";
export { headBias, headWeight, type Pooling, type SequenceHeadOptions, sequenceHead } from "./sequence.ts";
