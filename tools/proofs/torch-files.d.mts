/** What one form took: medians over rounds, and their ratios to those of safetensors. */
export interface LoadRow {
  readonly openSeconds: number;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly ratios: { readonly time: number; readonly memory: number };
}
type LoadRows = Readonly<Record<"safetensors" | "zip" | "legacy", LoadRow>>;
/** Figures of the proof; throws where a bar is missed. */
export function prove(options: { readonly size: "full" | "small" }): Promise<{
  readonly fileBytes: number;
  readonly equal: true;
  readonly figures: { readonly fresh: LoadRows; readonly known: LoadRows };
}>;
