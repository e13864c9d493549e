import type { LengthCounts } from "./length-counts.ts";

/** Settings that suit a data set, and why. */
export interface Suggestions {
  readonly maxLength: number;
  readonly batchSize: number;
  /** Examples per pass, where a whole batch would take much memory. */
  readonly microBatchSize?: number;
  readonly reasons: readonly string[];
}

/** Share of the training sequences that should fit. */
const fitShare = 0.99;
/** Tokens per pass from which activations take gigabytes on a base-sized backbone. */
const passTokens = 8192;
/** Small sets need several updates per epoch to get anywhere. */
const updatesPerEpoch = 25;

/**
 * Settings from the lengths of the training sequences.
 * @param items number of training items
 * @param longest the most that the backbone takes
 */
export function suggest(lengths: LengthCounts, items: number, longest: number): Suggestions {
  const fitting = lengths.quantile(fitShare);
  const { max } = lengths;
  // Where the longest is not much longer than that, nothing needs to be cut.
  const wanted = max <= 1.5 * fitting ? max : fitting;
  const maxLength = Math.min(longest, 8 * Math.ceil(wanted / 8));
  const batchSize = [32, 16].find((size) => items / size >= updatesPerEpoch) ?? 8;
  const fits = (lengths.total - lengths.longerThan(maxLength)) / Math.max(1, lengths.total);
  const pass = [32, 16, 8, 4, 2].find((size) => size * maxLength <= passTokens) ?? 1;
  return {
    maxLength,
    batchSize,
    ...(pass < batchSize && { microBatchSize: pass }),
    reasons: [
      maxLength === longest && fits < fitShare
        ? `maxLength ${maxLength}: the most that the backbone takes.`
        : `maxLength ${maxLength}: ${(100 * fits).toFixed(fits === 1 ? 0 : 1)} % of the training sequences fit.`,
      `batchSize ${batchSize}: ${Math.ceil(items / batchSize)} updates per epoch.`,
      ...(pass < batchSize ? [`microBatchSize ${pass}: at most ${passTokens} tokens per pass.`] : []),
    ],
  };
}
