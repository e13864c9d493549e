/**
 * Linear layers. Legend: N rows, S sequence, B batch, I and O widths of a linear layer.
 */
import { dimNames } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/**
 * `x · Wᵀ + bias`: `[N, I]` → `[N, O]`; the checkpoint stores W as `[O, I]`. The one place where the precision of
 * frozen weights is decided: where the weights hold an int8 form of this layer, the product is int8 in both
 * directions.
 */
export function linear(ctx: LayerContext, x: Value, name: string, outWidth: number): Value {
  const inWidth = x.shape[1] as number;
  const bias = ctx.weight(`${name}.bias`, [outWidth]);
  const forward = `${name}.weight.int8.forward`;
  return ctx.b.scope(name, () => {
    if (ctx.precision === "fp32" || !ctx.hasWeight(forward)) {
      return affine(ctx, x, ctx.weight(`${name}.weight`, [outWidth, inWidth]), bias);
    }
    const weights: Int8Weights = {
      forward: ctx.weight(forward, [inWidth, outWidth]),
      forwardScale: ctx.weight(`${forward}.scale`, [outWidth]),
      bias,
    };
    if (ctx.batchInvariant) return productByRow(ctx.b, x, weights);
    const backward = `${name}.weight.int8.backward`;
    return productByTensor(ctx, x, weights, {
      backward: ctx.weight(backward, [outWidth, inWidth]),
      backwardScale: ctx.weight(`${backward}.scale`, [inWidth]),
    });
  });
}

/** `x · Wᵀ + bias` in fp32: `[N, I]` and `[O, I]` → `[N, O]`. */
export function affine(ctx: LayerContext, x: Value, weight: Value, bias?: Value): Value {
  // All positions of a batch are several rows, whatever the batch.
  const isSurelyMany = dimNames(x.shape[0]!).length > 1;
  if (!ctx.batchInvariant || isSurelyMany) return ctx.b.op("Gemm", [x, weight, bias], { transB: 1 });
  // ONNX Runtime multiplies a single row by a routine of its own, which adds up in another order, but only where
  // alpha is 1. Negating is exact.
  return ctx.b.op("Gemm", [ctx.b.op("Neg", [x]), weight, bias], { transB: 1, alpha: -1 });
}

interface Int8Weights {
  /** `[I, O]` */
  readonly forward: Value;
  readonly forwardScale: Value;
  readonly bias: Value;
}

/** Greatest quantised value, and the zero of uint8 that stands for 0. */
const [largest, zero] = [127, 128];
/** Added to a scale, which may be 0. */
const tiny = 1e-20;

/** Each row is brought to uint8 with a scale of its own: what it comes to depends on no other row. */
function productByRow(b: GraphBuilder, x: Value, { forward, forwardScale, bias }: Int8Weights): Value {
  const greatest = b.op("ReduceMax", [b.op("Abs", [x]), b.integers([-1])], { keepdims: 1 });
  const scale = b.op("Add", [b.op("Mul", [greatest, b.scalar(1 / largest)]), b.scalar(tiny)]);
  const rounded = b.op("QuantizeLinear", [b.op("Div", [x, scale]), b.scalar(1), b.byte(zero)]);
  const product = b.op("MatMulIntegerToFloat", [rounded, forward, b.scalar(1), forwardScale, b.byte(zero)]);
  return b.op("Add", [b.op("Mul", [product, scale]), bias]);
}

/** One scale for all rows, which takes fewer passes, and a gradient through the second set of weights. */
function productByTensor(
  ctx: LayerContext,
  x: Value,
  { forward, forwardScale, bias }: Int8Weights,
  { backward, backwardScale }: { readonly backward: Value; readonly backwardScale: Value },
): Value {
  const { b } = ctx;
  const product = (left: Value, weight: Value, scale: Value, added?: Value): Value =>
    b.op("DynamicQuantizeMatMul", [left, weight, scale, undefined, added]);
  const scaled = ctx.unevenGradients ? byRow(b) : (rows: Value, map: (rows: Value) => Value) => map(rows);
  return b.withGradient(
    [x, bias],
    () => product(x, forward, forwardScale, bias),
    (grad, needs) => [
      needs[0] ? scaled(grad, (rows) => product(rows, backward, backwardScale)) : undefined,
      needs[1] ? b.sum(grad, [0], 0) : undefined,
    ],
  );
}

/**
 * Maps rows linearly, each brought to mean square 1 before and back after: one scale of a quantised product then serves
 * all rows. Gradients of a span loss were off by 13 % so instead of by 34 %, those of a tag loss by 6 % instead of 10 %.
 */
function byRow(b: GraphBuilder): (rows: Value, map: (rows: Value) => Value) => Value {
  return (rows, map) => {
    const square = b.op("ReduceMean", [b.op("Mul", [rows, rows]), b.integers([-1])], { keepdims: 1 });
    const size = b.op("Add", [b.op("Sqrt", [square]), b.scalar(tiny)]);
    return b.op("Mul", [map(b.op("Div", [rows, size])), size]);
  };
}
