/** One run of a plan of variants. */
export interface Cell {
  readonly plan: string;
  readonly recipe: string;
  readonly variant: string;
  /** Learning rate, where the plan varies it. */
  readonly rate?: number;
  readonly seed: number;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
}
/** @param plan name of a file in results/, without its ending */
export function cells(plan: string): Cell[];
