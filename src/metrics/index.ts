export { ClassificationMetrics } from "./classification.ts";
export type { MetricAccumulator, Scores } from "./metric.ts";
