/** What needs no Node of this folder. */
export {
  type BatchItems,
  type ForwardBatch,
  forwardBatches,
  forwardBatchSize,
  itemCount,
  itemRows,
  itemTokens,
  largestItem,
  padBatch,
  paddedLength,
  shuffledBatches,
  type TokenBatch,
} from "./batches.ts";
export { boundedTokenizer } from "./bounded.ts";
export { type Cloze, type ClozeOptions, encodeCloze, parseCloze } from "./cloze.ts";
export { tokenizerFileNames, tokenizerFingerprint, tokenizerSources } from "./definition.ts";
export type { PieceSequences, TextPieces, WordPieces } from "./pieces.ts";
export {
  gatherSequences,
  longestSequence,
  SequenceCollector,
  type SequencePlace,
  type TokenSequences,
  tokenCount,
} from "./sequences.ts";
export type { Assembled, Template } from "./template.ts";
export { abortableTokenizer, type SpecialTokens, type TextInput, type Tokenizer } from "./tokenizer.ts";
export { type TokenWindow, tokenWindows, windowWithMostContext } from "./windows.ts";
