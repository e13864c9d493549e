/** Figures of the proof; throws where a bar is missed. */
export function prove(options: { readonly size: "full" | "small" }): Promise<{
  readonly stateBytes: number;
  readonly lossesAfter: readonly number[];
  readonly lossesResumed: readonly number[];
  readonly equal: true;
}>;
