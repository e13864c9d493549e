/** What came out for one kind of tokenizer, in texts. */
export interface TokenizerRow {
  readonly kind: string;
  readonly texts: number;
  /** Those for which the reference says no places. */
  readonly withoutPlaces?: number;
  readonly ties?: number;
  readonly accents?: number;
  readonly punctuation?: number;
  readonly expansions?: number;
  readonly unexplained: number;
  readonly seconds?: number;
}
export function prove(options: {
  readonly size: "small" | "full";
  readonly only?: readonly string[];
}): Promise<{
  readonly bar: string;
  readonly rows: readonly TokenizerRow[];
}>;
