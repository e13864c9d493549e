export interface PlainRow {
  readonly text?: string;
  readonly pair?: string;
  readonly label?: string;
  readonly words?: readonly string[];
  readonly tags?: readonly string[];
}
export interface GridSet {
  readonly kind: string;
  readonly train: readonly PlainRow[];
  readonly test: readonly PlainRow[];
}
export function readSet(set: {
  readonly recipe: string;
  readonly kind: string;
  readonly without?: string;
}): Promise<GridSet>;
export function drawTest(
  set: Pick<GridSet, "test">,
  options: { readonly rows: number; readonly seed: number },
): readonly PlainRow[];
export function drawTrain(
  set: Pick<GridSet, "train" | "kind">,
  rows: number | "all",
  seed: number,
): readonly PlainRow[];
export function fingerprintOf(
  train: readonly PlainRow[],
  test: readonly PlainRow[],
): { readonly train: string; readonly test: string };
export function withoutAnswer(row: PlainRow): PlainRow;
