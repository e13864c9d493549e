/** Legend: C labels. */
import { PtuningError } from "../core/index.ts";
import { type FScore, fScore, macroAverage, ratio, weightedAverage } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/**
 * Scores of single-label classification, by their names in {@link Scores}:
 *
 * - `accuracy`: share of right predictions.
 * - `macroF1`, `weightedF1`: mean of the labels' F1, plain or weighted by their number in gold, over the labels
 *   that occur as gold or as prediction (scikit-learn's default).
 * - `microF1`: F1 over all decisions; with one label per example it equals accuracy.
 * - `f1`: F1 of the positive label.
 * - `matthews`: Matthews' correlation coefficient for any number of labels (Gorodkin 2004).
 * - `inScopeAccuracy`: accuracy over the examples whose gold label is not the out-of-scope label;
 *   `outOfScopeRecall`: share of the others that were predicted as out of scope (Larson et al. 2019, CLINC150).
 */
export type ClassificationScore =
  | "accuracy"
  | "macroF1"
  | "weightedF1"
  | "microF1"
  | "f1"
  | "matthews"
  | "inScopeAccuracy"
  | "outOfScopeRecall";

/** Settings of {@link ClassificationMetrics}. */
export interface ClassificationMetricsOptions {
  /** What `result` gives, in this order; default accuracy and macro-F1. */
  readonly scores?: readonly ClassificationScore[];
  /** Number of the label whose F1 is `f1`; default 1. */
  readonly positiveLabel?: number;
  /** Number of the label that stands for everything outside the other labels. */
  readonly outOfScopeLabel?: number;
}

/** Scores of single-label classification, from a confusion matrix; they equal scikit-learn's. */
export class ClassificationMetrics implements MetricAccumulator<number, number> {
  readonly numLabels: number;
  readonly #scores: readonly ClassificationScore[];
  readonly #positive: number;
  readonly #outOfScope: number | undefined;
  /** `[C, C]`, gold labels in rows. */
  readonly #counts: Float64Array;
  readonly #gold: Float64Array;
  readonly #predicted: Float64Array;
  #total = 0;
  #hits = 0;

  /** @throws OPTION_INVALID if an out-of-scope score is asked for without such a label */
  constructor(numLabels: number, options: ClassificationMetricsOptions = {}) {
    const { scores = ["accuracy", "macroF1"], positiveLabel = 1, outOfScopeLabel } = options;
    const scoped = scores.find((score) => score === "inScopeAccuracy" || score === "outOfScopeRecall");
    if (scoped !== undefined && outOfScopeLabel === undefined) {
      throw new PtuningError("OPTION_INVALID", `${scoped}: expected an outOfScopeLabel, got none.`, {
        hint: "Say which label stands for texts outside the other labels.",
      });
    }
    this.numLabels = numLabels;
    this.#scores = scores;
    this.#positive = positiveLabel;
    this.#outOfScope = outOfScopeLabel;
    this.#counts = new Float64Array(numLabels * numLabels);
    this.#gold = new Float64Array(numLabels);
    this.#predicted = new Float64Array(numLabels);
  }

  /** @throws DATA_INVALID if a label is not one of 0 … C − 1 */
  add(predicted: number, gold: number): void {
    if (!(predicted in this.#predicted) || !(gold in this.#gold)) {
      throw new PtuningError(
        "DATA_INVALID",
        `labels: expected numbers from 0 to ${this.numLabels - 1}, got ${predicted} for ${gold}.`,
      );
    }
    this.#add(predicted, gold, 1);
  }

  merge(other: ClassificationMetrics): void {
    for (let gold = 0; gold < this.numLabels; gold++) {
      for (let predicted = 0; predicted < this.numLabels; predicted++) {
        this.#add(predicted, gold, other.count(gold, predicted));
      }
    }
  }

  #add(predicted: number, gold: number, times: number): void {
    this.#counts[gold * this.numLabels + predicted]! += times;
    this.#gold[gold]! += times;
    this.#predicted[predicted]! += times;
    this.#total += times;
    if (predicted === gold) this.#hits += times;
  }

  /** Number of examples of label `gold` that were predicted as `predicted`. */
  count(gold: number, predicted: number): number {
    return this.#counts[gold * this.numLabels + predicted]!;
  }

  /** How many different labels were predicted. */
  get predictedLabels(): number {
    return this.#predicted.reduce((labels, count) => labels + (count > 0 ? 1 : 0), 0);
  }

  /** Scores of each label, `[C]`. */
  perLabel(): FScore[] {
    return Array.from(this.#gold, (_, label) => this.#ofLabel(label));
  }

  result(): Scores {
    return Object.fromEntries(this.#scores.map((score) => [score, this.#score(score)]));
  }

  #score(name: ClassificationScore): number {
    const outOfScope = this.#outOfScope ?? -1;
    const present = (): FScore[] =>
      this.perLabel().filter(({ support }, label) => support + this.#predicted[label]! > 0);
    const table: Readonly<Record<ClassificationScore, () => number>> = {
      accuracy: () => ratio(this.#hits, this.#total),
      macroF1: () => macroAverage(present()).f1,
      weightedF1: () => weightedAverage(present()).f1,
      microF1: () => fScore(this.#hits, this.#total, this.#total).f1,
      f1: () => this.#ofLabel(this.#positive).f1,
      matthews: () => this.#matthews(),
      inScopeAccuracy: () =>
        ratio(this.#hits - this.count(outOfScope, outOfScope), this.#total - this.#gold[outOfScope]!),
      outOfScopeRecall: () => this.#ofLabel(outOfScope).recall,
    };
    return table[name]();
  }

  #ofLabel(label: number): FScore {
    return fScore(this.count(label, label), this.#predicted[label]!, this.#gold[label]!);
  }

  /** 0 where gold or predictions are all of one label. */
  #matthews(): number {
    const dot = (a: Float64Array, b: Float64Array): number =>
      a.reduce((sum, count, label) => sum + count * b[label]!, 0);
    const square = this.#total ** 2;
    const covariance = this.#hits * this.#total - dot(this.#gold, this.#predicted);
    const variances =
      (square - dot(this.#gold, this.#gold)) * (square - dot(this.#predicted, this.#predicted));
    return ratio(covariance, Math.sqrt(variances));
  }
}
