/**
 * Layers as functions on the graph builder. Activations are matrices with the positions outside:
 * row `s·B + b` of `[S·B, E]` is position `s` of example `b`. Then the first rows are the first positions, and
 * attention reads its heads without a transposition.
 *
 * Legend: B batch, S sequence, E hidden size.
 */
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/** Normalises the last axis and applies the scale and bias of this name. @param hasBias default true */
export function layerNorm(
  ctx: LayerContext,
  x: Value,
  name: string,
  epsilon: number,
  { hasBias = true }: { readonly hasBias?: boolean } = {},
): Value {
  const width = x.shape.at(-1) as number;
  const scale = ctx.weight(`${name}.weight`, [width]);
  const bias = hasBias ? [ctx.weight(`${name}.bias`, [width])] : [];
  // The mean and the inverse deviation cost nothing here and the gradient reads them.
  return ctx.b.scope(
    name,
    () => ctx.b.ops("LayerNormalization", 3, [x, scale, ...bias], { axis: -1, epsilon })[0]!,
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

const gelu: Activation = (ctx, x) => geluWithGradient(ctx, x, "none");
const geluTanh: Activation = (ctx, x) => geluWithGradient(ctx, x, "tanh");

/** x · σ(x), with σ(x) = (1 + tanh(x / 2)) / 2. */
const silu: Activation = ({ b }, x) => {
  const half = b.op("Mul", [x, b.scalar(0.5)]);
  return b.op("Mul", [half, b.op("Add", [b.op("Tanh", [half]), b.scalar(1)])]);
};

/** Step of the difference quotient below: a power of two, so that dividing by it is exact. */
const geluStep = 1 / 128;

/**
 * GELU. Beside int8 products its derivative is the difference quotient (gelu(x + h) − gelu(x)) / h, whose error
 * (below h/2 · 0.8 = 0.3 %) is less than what rounding the gradient to 8 bits does: three passes over the widest
 * tensor of the layer instead of ten. It is made in the forward pass and kept in 16 bits, an eighth of what would
 * be kept otherwise.
 */
function geluWithGradient(
  { b, coarseGradients }: LayerContext,
  x: Value,
  approximate: "none" | "tanh",
): Value {
  const apply = (value: Value): Value => b.op("Gelu", [value], { approximate });
  if (!coarseGradients) return apply(x);
  return b.withGradient(
    [x],
    () => {
      const y = apply(x);
      const moved = apply(b.op("Add", [x, b.scalar(geluStep)]));
      const slope = b.op("Mul", [b.op("Sub", [moved, y]), b.scalar(1 / geluStep)]);
      const kept = b.op("Cast", [slope], { to: "float16" });
      // Else the runtime would make it when it is read, and keep x and y until then.
      return [b.after(y, kept), kept];
    },
    (grad, _, { saved: [slope] }) => [
      b.op("Mul", [grad, b.op("Cast", [b.after(slope!, grad)], { to: "float32" })]),
    ],
  );
}

/** Activations by their name in a checkpoint's `config.json` (`hidden_act`). */
export const activations: Readonly<Record<string, Activation>> = {
  gelu,
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  relu: ({ b }, x) => b.op("Relu", [x]),
  silu,
  swish: silu,
  tanh: ({ b }, x) => b.op("Tanh", [x]),
};
