import type { MetricAccumulator, Scores } from "./metric.ts";

/**
 * Scores of single-label classification: accuracy and macro-averaged F1, defined as in scikit-learn
 * (`f1_score(average="macro", zero_division=0)` over the labels that occur as gold or as prediction).
 */
export class ClassificationMetrics implements MetricAccumulator<number, number> {
  readonly #counts: Int32Array;
  readonly numLabels: number;

  constructor(numLabels: number) {
    this.numLabels = numLabels;
    this.#counts = new Int32Array(numLabels * numLabels);
  }

  add(predicted: number, gold: number): void {
    this.#counts[gold * this.numLabels + predicted]!++;
  }

  /** Number of examples of label `gold` that were predicted as `predicted`. */
  count(gold: number, predicted: number): number {
    return this.#counts[gold * this.numLabels + predicted]!;
  }

  /** How many different labels were predicted. */
  get predictedLabels(): number {
    return this.#labels().filter((label) => this.#column(label) > 0).length;
  }

  result(): Scores {
    const labels = this.#labels();
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const hits = labels.reduce((sum, label) => sum + this.count(label, label), 0);
    const present = labels.filter((label) => this.#row(label) + this.#column(label) > 0);
    const f1 = present.map(
      (label) => (2 * this.count(label, label)) / (this.#row(label) + this.#column(label)),
    );
    return {
      accuracy: total === 0 ? 0 : hits / total,
      macroF1: f1.length === 0 ? 0 : f1.reduce((sum, value) => sum + value, 0) / f1.length,
    };
  }

  #labels(): number[] {
    return Array.from({ length: this.numLabels }, (_, label) => label);
  }

  #row(gold: number): number {
    return this.#labels().reduce((sum, predicted) => sum + this.count(gold, predicted), 0);
  }

  #column(predicted: number): number {
    return this.#labels().reduce((sum, gold) => sum + this.count(gold, predicted), 0);
  }
}
