/** One run of the comparison in results/convergence.yaml. */
export interface Cell {
  readonly recipe: string;
  readonly variant: string;
  readonly rate: number;
  readonly seed: number;
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
}
export function cells(): Cell[];
