export { type AnswerScore, answerScore, answerWords } from "./answer-text.ts";
export { AnswerMetrics, type AnswerPrediction } from "./answers.ts";
export { AbstentionMetrics, CalibrationMetrics, type ReliabilityBin } from "./calibration.ts";
export {
  ClassificationMetrics,
  type ClassificationMetricsOptions,
  type ClassificationScore,
} from "./classification.ts";
export type { FScore } from "./f-score.ts";
export type { MetricAccumulator, Scores } from "./metric.ts";
export { MultiLabelMetrics, ThresholdTuner } from "./multi-label.ts";
export { RegressionMetrics } from "./regression.ts";
export { SpanMetrics, type SpanReport } from "./spans.ts";
export {
  type Candidate,
  MultiRCMetrics,
  type OptionGold,
  type QueryGold,
  RecordMetrics,
} from "./super-glue.ts";
