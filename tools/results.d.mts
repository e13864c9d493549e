/** One run of a recipe, as committed under results/. */
export interface ResultRow {
  readonly seed: number;
  readonly test: Readonly<Record<string, number>>;
  readonly precision: string;
  readonly command: string;
  readonly configHash: string;
  readonly commit: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly hardware: string;
}
export function runRecipe(
  recipe: string,
  seed: number,
  baselines: boolean,
  settings?: Readonly<Record<string, unknown>>,
  kept?: string,
): ResultRow;
