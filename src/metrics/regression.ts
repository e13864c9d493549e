import { ratio } from "./f-score.ts";
import type { MetricAccumulator, Scores } from "./metric.ts";

/**
 * Scores of regression: `pearson`, `spearman` (ties share their average rank), `mse` and `mae`.
 *
 * Where predictions or gold values are all the same, the correlations, which scipy gives as NaN, are 0: constant
 * predictions tell nothing apart, and must never be chosen as the best state.
 *
 * Ranks need every value, so the values are kept, and the means are taken before anything is squared: no running
 * sum loses digits where values are large and close together.
 */
export class RegressionMetrics implements MetricAccumulator<number, number> {
  readonly #predicted: number[] = [];
  readonly #gold: number[] = [];

  /** Both numbers must be finite. */
  add(predicted: number, gold: number): void {
    this.#predicted.push(predicted);
    this.#gold.push(gold);
  }

  merge(other: RegressionMetrics): void {
    for (const [i, value] of other.#predicted.entries()) this.add(value, other.#gold[i]!);
  }

  result(): Scores {
    const [predicted, gold] = [this.#predicted, this.#gold];
    return {
      pearson: correlation(predicted, gold),
      spearman: correlation(averageRanks(predicted), averageRanks(gold)),
      mse: mean(predicted.map((value, i) => (value - gold[i]!) ** 2)),
      mae: mean(predicted.map((value, i) => Math.abs(value - gold[i]!))),
    };
  }
}

function mean(values: readonly number[]): number {
  return ratio(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  );
}

function correlation(x: readonly number[], y: readonly number[]): number {
  const [u, v] = [direction(x), direction(y)];
  const cosine = u.reduce((sum, value, i) => sum + value * v[i]!, 0);
  return Math.max(-1, Math.min(1, cosine));
}

/** The values' distances from their mean, as a vector of length 1; of length 0 where they are all the same. */
function direction(values: readonly number[]): number[] {
  if (values.every((value) => value === values[0])) return values.map(() => 0);
  // Twice, since the first mean is rounded.
  const distances = centred(centred(values));
  // Scaled first, so that no square overflows or vanishes.
  const largest = distances.reduce((most, distance) => Math.max(most, Math.abs(distance)), 0);
  const squares = distances.reduce((sum, distance) => sum + (distance / largest) ** 2, 0);
  return distances.map((distance) => distance / largest / Math.sqrt(squares));
}

function centred(values: readonly number[]): number[] {
  const centre = mean(values);
  return values.map((value) => value - centre);
}

/** Rank of each value from 1; equal values get the mean of the ranks that they take up. */
function averageRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const ranks = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}
