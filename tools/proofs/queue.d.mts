export function prove(options: { readonly size: "small" | "full" }): Promise<{
  readonly sweeps: number;
  readonly rows: number;
  readonly wrongRows: number;
  readonly thrownAway: number;
}>;
