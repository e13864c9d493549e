/** The greatest of some numbers, however many they are: arguments of a function may be some ten thousand at most. */
export function greatest(values: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = value > most || Number.isNaN(value) ? value : most;
  return most;
}

/** The least of some numbers, likewise. */
export function least(values: Iterable<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (const value of values) found = value < found || Number.isNaN(value) ? value : found;
  return found;
}
