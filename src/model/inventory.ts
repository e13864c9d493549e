import { elementCount, type Params } from "../core/index.ts";

/** How many parameters are trained, and how many are not. */
export interface Inventory {
  /** Trainable parameters by the first word of their name: `prompt`, `head`. */
  readonly trainable: Readonly<Record<string, number>>;
  readonly trainableTotal: number;
  /** Parameters of the backbone, all frozen. */
  readonly frozen: number;
  /** Trainable parameters as a share of all. */
  readonly share: number;
}

/** Counts parameters by part. */
export function inventory(params: Params, frozen: number): Inventory {
  const trainable: Record<string, number> = {};
  for (const [name, { shape }] of Object.entries(params)) {
    const part = name.split(".")[0]!;
    trainable[part] = (trainable[part] ?? 0) + elementCount(shape);
  }
  const trainableTotal = Object.values(trainable).reduce((sum, count) => sum + count, 0);
  return { trainable, trainableTotal, frozen, share: trainableTotal / (trainableTotal + frozen) };
}
