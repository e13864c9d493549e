/**
 * Layers as functions on the graph builder. Activations are matrices with the positions outside:
 * row `s·B + b` of `[S·B, E]` is position `s` of example `b`. Then the first rows are the first positions, and
 * attention reads its heads without a transposition.
 *
 * Legend: B batch, S sequence, E hidden size, I and O widths of a linear layer.
 */
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/** `x · Wᵀ + bias`: `[N, I]` → `[N, O]`; the checkpoint stores W as `[O, I]`. */
export function linear(ctx: LayerContext, x: Value, name: string, outWidth: number): Value {
  const inWidth = x.shape[1] as number;
  const weight = ctx.weight(`${name}.weight`, [outWidth, inWidth]);
  const bias = ctx.weight(`${name}.bias`, [outWidth]);
  return ctx.b.scope(name, () => ctx.b.op("Gemm", [x, weight, bias], { transB: 1 }));
}

/** Normalises the last axis and applies the scale and bias of this name. */
export function layerNorm(ctx: LayerContext, x: Value, name: string, epsilon: number): Value {
  const width = x.shape.at(-1) as number;
  const scale = ctx.weight(`${name}.weight`, [width]);
  const bias = ctx.weight(`${name}.bias`, [width]);
  // The mean and the inverse deviation cost nothing here and the gradient reads them.
  return ctx.b.scope(
    name,
    () => ctx.b.ops("LayerNormalization", 3, [x, scale, bias], { axis: -1, epsilon })[0]!,
  );
}

/** Rows of an embedding table: ids `[S, B]` → `[S, B, E]`. */
export function embedding(ctx: LayerContext, ids: Value, name: string, rows: number, width: number): Value {
  return ctx.b.op("Gather", [ctx.weight(`${name}.weight`, [rows, width]), ids], { axis: 0 });
}

/** Drops elements in training; does nothing in evaluation. */
export function dropout(ctx: LayerContext, x: Value, rate: number): Value {
  return ctx.dropout?.apply(x, rate) ?? x;
}

type Activation = (ctx: LayerContext, x: Value) => Value;

const gelu: Activation = ({ b }, x) => b.op("Gelu", [x], { approximate: "none" });
const geluTanh: Activation = ({ b }, x) => b.op("Gelu", [x], { approximate: "tanh" });

/** Activations by their name in a checkpoint's `config.json` (`hidden_act`). */
export const activations: Readonly<Record<string, Activation>> = {
  gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  relu: ({ b }, x) => b.op("Relu", [x]),
  tanh: ({ b }, x) => b.op("Tanh", [x]),
};
