/** Logits of one row as numbers people understand. */

/** Index of the greatest value; the first where several are. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** ln Σ exp(values). */
export function logSumExp(values: ArrayLike<number>): number {
  const largest = values[argmax(values)]!;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += Math.exp(values[i]! - largest);
  return largest + Math.log(total);
}

/** Probabilities that add up to 1. @param temperature divides the values: above 1 the probabilities come closer */
export function softmax(values: ArrayLike<number>, temperature = 1): number[] {
  const scaled = Array.from(values, (value) => value / temperature);
  const total = logSumExp(scaled);
  return scaled.map((value) => Math.exp(value - total));
}

/** The greatest of the probabilities of {@link softmax}, to the bit. */
export function topProbability(values: ArrayLike<number>, temperature = 1): number {
  const largest = values[argmax(values)]! / temperature;
  let total = 0;
  for (let i = 0; i < values.length; i++) total += Math.exp(values[i]! / temperature - largest);
  return Math.exp(largest - (largest + Math.log(total)));
}

/** 1 / (1 + e⁻ˣ). */
export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** ln(1 + eˣ), also for large x. */
export function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
