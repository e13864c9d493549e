/** Scores by name, each a plain number. */
export type Scores = Readonly<Record<string, number>>;

/** Collects predictions one by one and gives the scores at any time. */
export interface MetricAccumulator<P, G> {
  add(predicted: P, gold: G): void;
  result(): Scores;
}
