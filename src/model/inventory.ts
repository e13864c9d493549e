import { elementCount } from "../core/index.ts";
import { weightPrefix } from "./model.ts";
import type { ParamShapes } from "./parameters.ts";

/** How many parameters are trained, and how many are not. */
export interface Inventory {
  /** Trainable parameters by the first word of their name: `prompt`, `head`, `backbone`. */
  readonly trainable: Readonly<Record<string, number>>;
  readonly trainableTotal: number;
  /** Parameters of the backbone that are not trained. */
  readonly frozen: number;
  /** Trainable parameters as a share of all. */
  readonly share: number;
}

/** Counts parameters by part. @param backbone number of parameters of the backbone, trained or not */
export function inventory(params: ParamShapes, backbone: number): Inventory {
  const trainable: Record<string, number> = {};
  for (const [name, { shape }] of Object.entries(params)) {
    const part = name.split(".")[0]!;
    trainable[part] = (trainable[part] ?? 0) + elementCount(shape);
  }
  const trainableTotal = Object.values(trainable).reduce((sum, count) => sum + count, 0);
  const frozen = Math.max(0, backbone - (trainable[weightPrefix.slice(0, -1)] ?? 0));
  return { trainable, trainableTotal, frozen, share: trainableTotal / (trainableTotal + frozen) };
}
