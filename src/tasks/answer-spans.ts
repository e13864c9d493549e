/** From the logits of windows to the best stretches of a passage. Legend: B batch, S sequence. */
import type { PassShape } from "./task.ts";

/** Tokens `start` … `end` (both included) of a passage, and the sum of their logits as first and last token. */
export interface ScoredSpan {
  readonly start: number;
  readonly end: number;
  readonly logit: number;
}

/** Where the passage's tokens stand in a window. */
export interface WindowPlace {
  /** Position of the first of them. */
  readonly position: number;
  readonly count: number;
  /** Number of the first of them in the whole passage. */
  readonly first: number;
}

/** The logits `[S·B, 2]` of one window in a pass, by position. */
export interface WindowLogits {
  readonly length: number;
  start(position: number): number;
  end(position: number): number;
}

/** @param column number of the window in the pass @param length real tokens of the window */
export function windowLogits(
  logits: ArrayLike<number>,
  { rows }: PassShape,
  column: number,
  length: number,
): WindowLogits {
  const at = (position: number): number => 2 * (position * rows.length + column);
  return {
    length,
    start: (position) => logits[at(position)]!,
    end: (position) => logits[at(position) + 1]!,
  };
}

/**
 * The `most` best spans of at most `maxTokens` tokens, best first. All pairs of positions are looked at, not only
 * the best starts with the best ends.
 */
export function bestSpans(
  logits: WindowLogits,
  { position, count, first }: WindowPlace,
  maxTokens: number,
  most: number,
): ScoredSpan[] {
  const best: ScoredSpan[] = [];
  for (let start = 0; start < count; start++) {
    const startLogit = logits.start(position + start);
    for (let end = start; end < Math.min(count, start + maxTokens); end++) {
      const logit = startLogit + logits.end(position + end);
      if (best.length === most && !(logit > best.at(-1)!.logit)) continue;
      const rank = best.findIndex((span) => logit > span.logit);
      best.splice(rank < 0 ? best.length : rank, 0, { start: first + start, end: first + end, logit });
      if (best.length > most) best.pop();
    }
  }
  return best;
}

/** The best of several windows' spans; of a span that several windows saw, its best. */
export function mergeSpans(windows: readonly (readonly ScoredSpan[])[], most: number): ScoredSpan[] {
  const seen = new Set<string>();
  return windows
    .flat()
    .sort((a, b) => b.logit - a.logit || a.start - b.start || a.end - b.end)
    .filter(({ start, end }) => {
      const key = `${start} ${end}`;
      return seen.has(key) ? false : seen.add(key);
    })
    .slice(0, most);
}

/** −½ (log p(start) + log p(end)) over the real positions of a window. */
export function spanLoss(logits: WindowLogits, start: number, end: number): number {
  const logSum = (of: (position: number) => number): number => {
    let largest = Number.NEGATIVE_INFINITY;
    for (let p = 0; p < logits.length; p++) largest = Math.max(largest, of(p));
    let total = 0;
    for (let p = 0; p < logits.length; p++) total += Math.exp(of(p) - largest);
    return largest + Math.log(total);
  };
  return (logSum(logits.start) - logits.start(start) + logSum(logits.end) - logits.end(end)) / 2;
}
