export {
  type BatchItems,
  bucketedBatches,
  forwardBatches,
  itemCount,
  itemRows,
  largestItem,
  padBatch,
  type TokenBatch,
} from "./batches.ts";
export { longestSequence, SequenceCollector, type TokenSequences, tokenCount } from "./sequences.ts";
export { openTokenizer, type TextInput, type Tokenizer } from "./tokenizer.ts";
