/** Legend: N rows, E hidden size. */
import type { Value } from "../graph/index.ts";
import { type LayerContext, type LinearOptions, linear, type Projected } from "../nn/index.ts";
import type { LinearLayer, WeightShapes } from "./architecture.ts";

/** A linear layer of this name, `[N, inputs]` → `[N, outputs]`. */
export function linearLayer(name: string, inputs: number, outputs: number, hasBias = true): LinearLayer {
  return { name, inputs, outputs, hasBias };
}

/** Weights of linear layers. */
export function linearWeights(layers: readonly LinearLayer[]): WeightShapes {
  const shapes: Record<string, readonly number[]> = {};
  for (const { name, inputs, outputs, hasBias } of layers) {
    shapes[`${name}.weight`] = [outputs, inputs];
    if (hasBias) shapes[`${name}.bias`] = [outputs];
  }
  return shapes;
}

/**
 * Query, key and value by one matrix `[3E, E]`, a third each, one behind the other.
 * @param queries rows whose queries are wanted @param x all rows, `[N, E]`
 */
export function projectThirds(
  ctx: LayerContext,
  name: string,
  queries: Value,
  x: Value,
  options?: LinearOptions,
): Projected {
  const { b } = ctx;
  const E = x.shape[1] as number;
  const thirds = (rows: Value): Value[] =>
    b.ops("Split", 3, [linear(ctx, rows, name, 3 * E, options), b.integers([E, E, E])], { axis: 1 });
  const [own, key, value] = thirds(x) as [Value, Value, Value];
  return { query: queries === x ? own : thirds(queries)[0]!, key, value };
}
