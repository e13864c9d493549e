/** One command on one file. */
export interface ScaleFigures {
  readonly seconds: number;
  /** Until the first answer; of commands that answer. */
  readonly firstSeconds?: number;
  readonly peakMB: number;
}

/** Runs commands on few and on many rows. Throws where one does not end well or leaves out rows. */
export function prove(options: {
  readonly size: "small" | "full";
  /** Only commands whose names hold this. */
  readonly only?: string;
}): Promise<{
  readonly rows: readonly [few: number, many: number];
  readonly bars: { readonly peakRatio: number; readonly firstAnswerSeconds: number };
  readonly figures: Readonly<
    Record<string, { readonly few: ScaleFigures; readonly many: ScaleFigures; readonly ratio: number }>
  >;
  /** Bars that were missed, in words. */
  readonly missed: readonly string[];
}>;
