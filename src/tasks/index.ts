export { answerSelection } from "./answer-selection.ts";
export type { EncodedAnswers } from "./answer-windows.ts";
export { type CandidatePrediction, candidateRanking } from "./candidate-ranking.ts";
export type { CandidateOptions } from "./candidates.ts";
export type { TaskFamily, TaskOptions } from "./family.ts";
export { labelsOf } from "./labels.ts";
export {
  type MultiLabelOptions,
  type MultiLabelPrediction,
  multiLabelClassification,
} from "./multi-label.ts";
export { type ChoicePrediction, type MultipleChoiceOptions, multipleChoice } from "./multiple-choice.ts";
export {
  type AnswerSpan,
  hasAnswerless,
  type QuestionAnswer,
  type QuestionAnsweringOptions,
  questionAnswering,
} from "./question-answering.ts";
export { familyOf, taskFamilies, taskFrom } from "./registry.ts";
export { type RegressionOptions, type ScorePrediction, textRegression } from "./regression.ts";
export type {
  ConfusionMatrix,
  ReliabilityPlot,
  Review,
  ReviewedExample,
  Reviewer,
  ReviewTable,
  ScatterPlot,
} from "./review.ts";
export {
  type PredicateMarking,
  type Role,
  type RolePrediction,
  type SemanticRoleOptions,
  semanticRoles,
} from "./semantic-roles.ts";
export { countTags, type TagCounts } from "./tag-counts.ts";
export type { TagDecoding } from "./tag-path.ts";
export {
  type AnswerColumn,
  cutExamples,
  type Decoder,
  type Encoded,
  type Evaluation,
  type Evaluator,
  type HeadOutput,
  type LinearView,
  type PassShape,
  type TableRow,
  type Task,
  type TaskDefaults,
  type TaskGround,
  type TrivialAnswer,
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
  wordCutSchema,
} from "./token-classification.ts";
export type { VerbalizerOptions } from "./verbalizer.ts";
export type { WordTaskOptions } from "./word-options.ts";
export type { EncodedWords } from "./word-windows.ts";
export { spanLabels, type TaggedWords } from "./words.ts";
