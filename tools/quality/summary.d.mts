import type { GridCell, GridPlan, GridRow } from "./plan.mjs";

export interface GridResult {
  readonly precision: string;
  /** By seed. */
  readonly scores: ReadonlyMap<number, number>;
  /** Median over the seeds. */
  readonly seconds: number;
  readonly examples: GridRow["examples"];
}
export interface SummarizedCell extends GridCell {
  readonly results: ReadonlyMap<string, GridResult>;
  readonly whole: boolean;
}
export function summarize(plan: GridPlan, rows: readonly GridRow[]): SummarizedCell[];
export function writeSummary(plan: GridPlan, rows: readonly GridRow[], folder: string): Promise<string>;
