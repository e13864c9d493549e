/** What one size took. */
export interface GlmFigures {
  readonly parameters: number;
  readonly fileBytes: number;
  readonly int4Bytes: number;
  readonly train: {
    readonly stepSeconds: number;
    readonly peakBytes: number;
    readonly anonymousBytes: number;
  };
  readonly predict: { readonly seconds: number; readonly peakBytes: number; readonly anonymousBytes: number };
  readonly forwardSeconds: number;
  readonly backwardSeconds: number;
}
/** Figures of the proof; throws where a bar is missed. */
export function prove(options: {
  readonly size: "full" | "small";
  readonly only?: readonly string[];
}): Promise<{ readonly figures: Readonly<Record<string, GlmFigures>> }>;
