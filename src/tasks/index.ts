export { taskFrom, tasks } from "./registry.ts";
export type { ConfusionMatrix, Review, ReviewedExample, Reviewer, ReviewTable } from "./review.ts";
export type {
  Decoder,
  Encoded,
  Evaluation,
  Evaluator,
  HeadOutput,
  PassShape,
  TableRow,
  Task,
} from "./task.ts";
export {
  type SequenceClassificationOptions,
  sequenceClassification,
  type TextPrediction,
} from "./text-classification.ts";
