export function prove(options: { readonly size: "small" | "full" }): Promise<{
  readonly bar: string;
  readonly cases: number;
  /** How many cases of each kind gave an answer, or an error of which code. */
  readonly outcomes: Readonly<Record<string, Readonly<Record<string, number>>>>;
}>;
