/** Figures of the proof; throws where the bar is missed. */
export function prove(options: { readonly size: "full" | "small" }): Promise<{
  /** Of differences as shares of the greatest number. */
  readonly bar: number;
  readonly numbers: readonly {
    readonly backbone: string;
    /** Loss and gradients. */
    readonly outputs: number;
    readonly greatestDifference: number;
  }[];
  readonly scores: readonly object[];
}>;
