/** A run's row in results/quality/rows.jsonl, as far as plans and summaries read it. */
export interface GridRow {
  readonly cell: string;
  readonly contender: string;
  /** `auto` where the contender chooses it. */
  readonly precision: string;
  readonly seed: number;
  /** A share: accuracy or F1. */
  readonly score: number;
  /** From the start of the process to the saved model. */
  readonly seconds: number;
  /** Hash of what the plan says of the run. */
  readonly spec: string;
  readonly data: { readonly train: string; readonly test: string };
  readonly commit: string;
  readonly date: string;
  readonly hardware: string;
  readonly threads: number;
  readonly load: number;
  readonly examples: { readonly train: number; readonly test: number };
}
export interface GridContender {
  readonly role: "rival" | "simple" | "ours";
  readonly answers: readonly string[];
  readonly precisions?: readonly string[];
  readonly program?: string;
  readonly environment?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly settingsFor?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly same?: { readonly contender: string; readonly tuned: string };
}
export interface GridBlock {
  readonly name: string;
  /** Whether the bars are read over its cells. */
  readonly bars?: boolean;
  readonly backbones: readonly string[];
  readonly sets: readonly string[];
  readonly rows: readonly (number | "all")[];
  /** How many of the plan's seeds. */
  readonly seeds: number;
}
/** results/quality.yaml. */
export interface GridPlan {
  readonly test: { readonly rows: number; readonly seed: number };
  readonly seeds: readonly number[];
  readonly sets: Readonly<
    Record<
      string,
      { readonly kind: string; readonly recipe: string; readonly score: string; readonly without?: string }
    >
  >;
  readonly blocks: readonly GridBlock[];
  readonly contenders: Readonly<Record<string, GridContender>>;
}
export interface GridCell {
  readonly name: string;
  readonly block: string;
  readonly bars: boolean;
  readonly backbone: string;
  readonly set: string;
  readonly rows: number | "all";
  readonly kind: string;
  readonly score: string;
  readonly seeds: readonly number[];
}
type Named = GridContender & { readonly name: string };
type Recipe = Readonly<Record<string, unknown>>;

export function readPlan(): GridPlan;
export function hashOf(value: unknown): string;
export function cellsOf(plan: GridPlan): GridCell[];
export function contendersOf(plan: GridPlan, cell: GridCell): Named[];
export function precisionsOf(contender: GridContender, hasBf16: boolean): readonly string[];
export function specOf(plan: GridPlan, cell: GridCell, contender: Named, recipe?: Recipe): string;
export function fasterPrecision(rows: readonly GridRow[], precisions: readonly string[]): string | undefined;
export function missingRuns(
  plan: GridPlan,
  cells: readonly GridCell[],
  current: readonly GridRow[],
  hasBf16: boolean,
): {
  readonly cell: string;
  readonly contender: string;
  /** Undefined where the runs of the first seed decide it. */
  readonly precision: string | undefined;
  readonly seed: number;
}[];
export function currentRows(
  plan: GridPlan,
  rows: readonly GridRow[],
  options?: {
    readonly fingerprints?: (cell: string, seed: number) => GridRow["data"] | undefined;
    readonly renewed?: readonly string[];
    readonly commit?: string;
    readonly recipeOf?: (recipe: string) => Recipe;
  },
): { readonly rows: GridRow[]; readonly ofOtherData: number };
