/** Figures of the proof; throws where a bar is missed. */
export function prove(options: { readonly size: "full" | "small" }): Promise<{
  /** Of the mean difference, in points. */
  readonly bar: number;
  /** fp32 − int8 over runs with int8 layers. */
  readonly meanDifference: number;
  readonly rows: readonly {
    readonly recipe: string;
    readonly examples: number;
    readonly fp32: number;
    readonly int8: number;
  }[];
}>;
