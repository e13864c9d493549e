import type { PlainRow } from "./data.mjs";
import type { GridCell, GridContender } from "./plan.mjs";

export function configOf(run: {
  readonly contender: GridContender;
  readonly cell: GridCell;
  readonly seed: number;
  readonly threads: number;
  readonly folder: string;
  /** Training rows. */
  readonly rows: number;
}): Readonly<Record<string, unknown>>;
export function scoreOf(
  score: string,
  answers: readonly (string | readonly string[])[],
  rows: readonly PlainRow[],
): number;
