/** What came out for one adapter in one precision. */
export interface InvarianceRow {
  readonly backbone: string;
  readonly recipe: string;
  readonly precision: string;
  readonly texts: number;
  readonly sequences: number;
  readonly together: number;
  readonly shuffled: number;
  readonly neighbours: number;
}
export function prove(options: { readonly size: "small" | "full" }): Promise<{
  readonly bar: string;
  readonly rows: readonly InvarianceRow[];
}>;
