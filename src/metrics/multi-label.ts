/** Legend: C labels. */
import { type FScore, fScore, macroAverage, ratio } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/**
 * Scores of multi-label classification: `microF1` over all decisions, `macroF1` as mean over all C labels,
 * `samplesF1` as mean over the examples, `subsetAccuracy`: share of the examples with exactly the right labels.
 *
 * They equal scikit-learn's on indicator matrices with `zero_division=0`: a label that occurs neither in gold nor
 * as prediction, and an example without gold labels and predictions, count as 0 in the means.
 */
export class MultiLabelMetrics implements MetricAccumulator<ArrayLike<number>, ArrayLike<number>> {
  readonly #threshold: number;
  readonly #hits: Float64Array;
  readonly #predicted: Float64Array;
  readonly #gold: Float64Array;
  #examples = 0;
  #exact = 0;
  #samplesF1 = 0;

  /** @param threshold a label is predicted where its probability is at least this */
  constructor(numLabels: number, threshold = 0.5) {
    this.#threshold = threshold;
    this.#hits = new Float64Array(numLabels);
    this.#predicted = new Float64Array(numLabels);
    this.#gold = new Float64Array(numLabels);
  }

  /**
   * @param probabilities `[C]`
   * @param gold `[C]`, 1 for the labels that the example has, else 0
   */
  add(probabilities: ArrayLike<number>, gold: ArrayLike<number>): void {
    let [hits, predicted, right] = [0, 0, 0];
    for (let label = 0; label < this.#gold.length; label++) {
      const isPredicted = probabilities[label]! >= this.#threshold ? 1 : 0;
      const isGold = gold[label] ? 1 : 0;
      this.#hits[label]! += isPredicted * isGold;
      this.#predicted[label]! += isPredicted;
      this.#gold[label]! += isGold;
      hits += isPredicted * isGold;
      predicted += isPredicted;
      right += isGold;
    }
    this.#examples++;
    if (hits === predicted && hits === right) this.#exact++;
    this.#samplesF1 += fScore(hits, predicted, right).f1;
  }

  merge(other: MultiLabelMetrics): void {
    for (let label = 0; label < this.#gold.length; label++) {
      this.#hits[label]! += other.#hits[label]!;
      this.#predicted[label]! += other.#predicted[label]!;
      this.#gold[label]! += other.#gold[label]!;
    }
    this.#examples += other.#examples;
    this.#exact += other.#exact;
    this.#samplesF1 += other.#samplesF1;
  }

  /** Scores of each label, `[C]`. */
  perLabel(): FScore[] {
    return Array.from(this.#hits, (hits, label) => fScore(hits, this.#predicted[label]!, this.#gold[label]!));
  }

  result(): Scores {
    const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);
    return {
      microF1: fScore(sum(this.#hits), sum(this.#predicted), sum(this.#gold)).f1,
      macroF1: macroAverage(this.perLabel()).f1,
      samplesF1: ratio(this.#samplesF1, this.#examples),
      subsetAccuracy: ratio(this.#exact, this.#examples),
    };
  }
}

/**
 * Finds the threshold with the best micro-F1 of all: `{ threshold, microF1 }`. Every way to cut the probabilities
 * is tried; the threshold lies halfway between the lowest one that is taken and the highest that is not (0 where
 * all are taken). Among equals the one nearest to 0.5 is chosen, and 0.5 where no threshold finds anything.
 */
export class ThresholdTuner implements MetricAccumulator<ArrayLike<number>, ArrayLike<number>> {
  readonly #decisions: { readonly probability: number; readonly isGold: boolean }[] = [];

  /**
   * @param probabilities `[C]`
   * @param gold `[C]`, 1 for the labels that the example has, else 0
   */
  add(probabilities: ArrayLike<number>, gold: ArrayLike<number>): void {
    for (let label = 0; label < probabilities.length; label++) {
      this.#decisions.push({ probability: probabilities[label]!, isGold: Boolean(gold[label]) });
    }
  }

  merge(other: ThresholdTuner): void {
    for (const decision of other.#decisions) this.#decisions.push(decision);
  }

  result(): { readonly threshold: number; readonly microF1: number } {
    const sorted = this.#decisions.toSorted((a, b) => b.probability - a.probability);
    const gold = sorted.reduce((count, { isGold }) => count + (isGold ? 1 : 0), 0);
    let best = { threshold: 0.5, microF1: 0 };
    let hits = 0;
    for (const [i, { probability, isGold }] of sorted.entries()) {
      if (isGold) hits++;
      const next = sorted[i + 1]?.probability ?? Math.min(0, probability);
      if (next === probability && i + 1 < sorted.length) continue;
      const microF1 = fScore(hits, i + 1, gold).f1;
      const halfway = (probability + next) / 2;
      // Halfway between neighbouring floating-point numbers may be the lower one.
      const threshold = halfway > next || next >= probability ? halfway : probability;
      const isNearer = Math.abs(threshold - 0.5) < Math.abs(best.threshold - 0.5);
      if (microF1 > best.microF1 || (microF1 === best.microF1 && microF1 > 0 && isNearer)) {
        best = { threshold, microF1 };
      }
    }
    return best;
  }
}
