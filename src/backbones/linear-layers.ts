import type { LinearLayer, WeightShapes } from "./architecture.ts";

/** Weights of linear layers. */
export function linearWeights(layers: readonly LinearLayer[]): WeightShapes {
  const shapes: Record<string, readonly number[]> = {};
  for (const { name, inputs, outputs, hasBias } of layers) {
    shapes[`${name}.weight`] = [outputs, inputs];
    if (hasBias) shapes[`${name}.bias`] = [outputs];
  }
  return shapes;
}
