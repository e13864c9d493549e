/**
 * How many of the first indices a condition holds for, where it holds for none behind one that it fails: found by halving.
 * @param length number of indices
 */
export function countWhile(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
