export type { EncodedAnswers } from "./answer-windows.ts";
export {
  type AnswerSpan,
  hasAnswerless,
  type QuestionAnswer,
  type QuestionAnsweringOptions,
  questionAnswering,
} from "./question-answering.ts";
export { taskFrom, tasks } from "./registry.ts";
export {
  type PredicateMarking,
  type Role,
  type RolePrediction,
  type SemanticRoleOptions,
  semanticRoles,
} from "./semantic-roles.ts";
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
export {
  type Entity,
  type TokenClassificationOptions,
  type TokenPrediction,
  tokenClassification,
} from "./token-classification.ts";
export { type EncodedWords, spanLabels, type TaggedWords, type WordTaskOptions } from "./words.ts";
