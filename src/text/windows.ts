import { countWhile } from "../core/index.ts";

/** Tokens `start` … `end` − 1 of a longer text. */
export interface TokenWindow {
  readonly start: number;
  readonly end: number;
}

/**
 * Cuts a text of `count` tokens into windows of at most `size` tokens, of which neighbours share `stride`: as the
 * overflow of transformers' tokenizers. A stride of more than half a window is cut to that, so that windows that
 * shrink stay few. There is always one window, if an empty one.
 *
 * @param size at least 1
 * @example
 * tokenWindows(10, 6, 2); // [{ start: 0, end: 6 }, { start: 4, end: 10 }]
 */
export function tokenWindows(count: number, size: number, stride: number): TokenWindow[] {
  const step = size - Math.min(stride, Math.floor(size / 2));
  const windows: TokenWindow[] = [];
  for (let start = 0; ; start += step) {
    const end = Math.min(count, start + size);
    windows.push({ start, end });
    if (end === count) return windows;
  }
}

/**
 * Number of the window in which token `at` has most context: the greatest distance to the nearer end, the earlier
 * window where two are alike. Starts and ends of the windows grow.
 */
export function windowWithMostContext(windows: readonly TokenWindow[], at: number): number {
  // Up to the last window whose middle is not behind the token its end comes nearer, from there on its start leaves.
  const upTo = countWhile(windows.length, (i) => windows[i]!.start + windows[i]!.end - 1 <= 2 * at);
  // The first has no earlier one, wherever its middle is.
  const low = Math.max(0, upTo - 1);
  const context = ({ start, end }: TokenWindow): number => Math.min(at - start, end - 1 - at);
  const next = windows[low + 1];
  return next !== undefined && context(next) > context(windows[low]!) ? low + 1 : low;
}
