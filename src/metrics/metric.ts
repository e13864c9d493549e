/** Scores by name, each a plain finite number. */
export type Scores = Readonly<Record<string, number>>;

/**
 * Collects predictions one by one, in any order, and gives the scores at any time. Shares, F1 and the like lie
 * within 0 … 1, correlations within −1 … 1; where a score is not defined (nothing was added, nothing to divide
 * by) it is 0.
 *
 * @typeParam P what was predicted for one example
 * @typeParam G what is right
 */
export interface MetricAccumulator<P, G> {
  add(predicted: P, gold: G): void;
  /** Adds all that another accumulator with the same settings has collected; the other stays as it is. */
  merge(other: this): void;
  result(): Scores;
}
