import { ratio } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/** Bins of {@link CalibrationMetrics}, as most papers have them. */
const usualBins = 15;

/** Answers whose probabilities are nearly the same. */
export interface ReliabilityBin {
  /** Probabilities above `from` and up to `to`; the first bin holds 0, too. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean probability of its answers, and the share of them that is right; 0 where it has none. */
  readonly confidence: number;
  readonly accuracy: number;
}

/**
 * Expected calibration error, `ece`: how far probabilities and shares of right answers lie apart, Σ (n_b / n) · |accuracy_b −
 * confidence_b| over bins of equal width (Naeini et al. 2015, Guo et al. 2017). An answer whose probability is not a number
 * has none, and does not count.
 */
export class CalibrationMetrics implements MetricAccumulator<number, boolean> {
  readonly #counts: Float64Array;
  readonly #confidences: Float64Array;
  readonly #hits: Float64Array;

  constructor(bins: number = usualBins) {
    this.#counts = new Float64Array(bins);
    this.#confidences = new Float64Array(bins);
    this.#hits = new Float64Array(bins);
  }

  /** @param confidence probability that was given to the answer, 0 … 1 @param isRight whether it is right */
  add(confidence: number, isRight: boolean): void {
    if (Number.isNaN(confidence)) return;
    const { length } = this.#counts;
    const bin = Math.min(length - 1, Math.max(0, Math.ceil(confidence * length) - 1));
    this.#counts[bin]!++;
    this.#confidences[bin]! += confidence;
    if (isRight) this.#hits[bin]!++;
  }

  merge(other: CalibrationMetrics): void {
    for (let bin = 0; bin < this.#counts.length; bin++) {
      this.#counts[bin]! += other.#counts[bin]!;
      this.#confidences[bin]! += other.#confidences[bin]!;
      this.#hits[bin]! += other.#hits[bin]!;
    }
  }

  /** Every bin, the empty ones as well, from 0 to 1. */
  bins(): ReliabilityBin[] {
    const { length } = this.#counts;
    return Array.from(this.#counts, (count, bin) => ({
      from: bin / length,
      to: (bin + 1) / length,
      count,
      confidence: ratio(this.#confidences[bin]!, count),
      accuracy: ratio(this.#hits[bin]!, count),
    }));
  }

  result(): Scores {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const apart = this.#counts.reduce(
      (sum, _, bin) => sum + Math.abs(this.#hits[bin]! - this.#confidences[bin]!),
      0,
    );
    return { ece: ratio(apart, total) };
  }
}
/**
 * Scores of answers that may be left open: `coverage`, the share that was given, and `answeredPrecision`, the share of these
 * that is right.
 */
export class AbstentionMetrics implements MetricAccumulator<boolean, boolean> {
  #total = 0;
  #answered = 0;
  #hits = 0;

  /** @param isAnswered whether an answer was given @param isRight whether the answer, given or not, is right */
  add(isAnswered: boolean, isRight: boolean): void {
    this.#total++;
    if (!isAnswered) return;
    this.#answered++;
    if (isRight) this.#hits++;
  }

  merge(other: AbstentionMetrics): void {
    this.#total += other.#total;
    this.#answered += other.#answered;
    this.#hits += other.#hits;
  }

  result(): Scores {
    return {
      coverage: ratio(this.#answered, this.#total),
      answeredPrecision: ratio(this.#hits, this.#answered),
    };
  }
}
