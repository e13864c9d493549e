/** What a part of the proof has seen. */
export interface KillFigures {
  /** Processes that were killed. */
  readonly kills: number;
  /** Last of the steps on the disk before which one was killed. */
  readonly steps: number;
  /** How often the old, the new, or nothing was there. */
  readonly old: number;
  readonly new: number;
  readonly none: number;
}

/** Kills processes that replace files. Throws where something is not whole, is left, or stands in the next one's way. */
export function prove(options: {
  readonly size: "small" | "full";
}): Promise<Readonly<Record<"overwrite" | "save" | "download" | "int8", KillFigures>>>;
