export { taskFrom, tasks } from "./registry.ts";
export type { Encoded, Evaluation, Evaluator, Task } from "./task.ts";
export {
  type SequenceClassificationOptions,
  sequenceClassification,
  type TextPrediction,
} from "./text-classification.ts";
