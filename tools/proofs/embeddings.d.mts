/** Figures of the proof; throws where a bar is missed. */
export function prove(options: { readonly size: "full" | "small" }): Promise<{
  readonly bar: number;
  readonly rows: readonly {
    readonly backbone: string;
    readonly texts: number;
    /** Of a number in a vector of length 1. */
    readonly greatestDifference: number;
  }[];
}>;
