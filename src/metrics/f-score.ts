/** Precision, recall and their harmonic mean; `support` is how often the thing occurs in gold. */
export interface FScore {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

/** `a / b`, and 0 where there is nothing to divide by, as scikit-learn's `zero_division=0`. */
export function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}

/** Scores of something that was predicted `predicted` times, is right `gold` times, and both at once `hits` times. */
export function fScore(hits: number, predicted: number, gold: number): FScore {
  return {
    precision: ratio(hits, predicted),
    recall: ratio(hits, gold),
    f1: ratio(2 * hits, predicted + gold),
    support: gold,
  };
}

/** Plain mean of the scores; support is the sum. */
export function macroAverage(scores: readonly FScore[]): FScore {
  return average(scores, () => 1);
}

/** Mean of the scores, each weighted by its support; support is the sum. */
export function weightedAverage(scores: readonly FScore[]): FScore {
  return average(scores, ({ support }) => support);
}

function average(scores: readonly FScore[], weight: (score: FScore) => number): FScore {
  const sum = (term: (score: FScore) => number): number =>
    scores.reduce((total, score) => total + term(score), 0);
  const mean = (key: keyof FScore): number =>
    ratio(
      sum((score) => weight(score) * score[key]),
      sum(weight),
    );
  return {
    precision: mean("precision"),
    recall: mean("recall"),
    f1: mean("f1"),
    support: sum(({ support }) => support),
  };
}
