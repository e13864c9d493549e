import type { GridPlan } from "./plan.mjs";
import type { SummarizedCell } from "./summary.mjs";

/** Means over the cells that a contender answers. */
export interface Beside {
  readonly name: string;
  readonly cells: number;
  readonly ours: number;
  readonly theirs: number;
}
export interface Bars {
  readonly whole: { readonly cells: number; readonly of: number };
  readonly rivals: readonly Beside[];
  readonly others: readonly Beside[];
  readonly best?: Beside & { readonly met: boolean };
  readonly below?: readonly { readonly cell: string; readonly difference: number; readonly error: number }[];
  readonly compared?: number;
  readonly times: readonly {
    readonly name: string;
    readonly limit: number;
    /** Seconds of ours over theirs. */
    readonly share: number;
    readonly worst: { readonly cell: string; readonly share: number };
    readonly met: boolean;
  }[];
}
export function evaluateBars(plan: GridPlan, cells: readonly SummarizedCell[]): Bars;
export function describeBars(bars: Bars): string;
