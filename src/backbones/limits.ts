/**
 * What a backbone may have at most, by its configuration or by what an adapter says of it: well above every model that
 * there is, and low enough that nothing is allocated by a number alone.
 */
export const limits = {
  layers: 1000,
  /** Of hidden states; feed-forward layers are at most 16 times as wide. */
  hiddenSize: 65_536,
  vocabulary: 10_000_000,
  positions: 10_000_000,
} as const;
