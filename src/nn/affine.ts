/** Legend: N rows, I and O widths of a linear layer. */
import { dimNames } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/** `x · Wᵀ + bias` in fp32: `[N, I]` and `[O, I]` → `[N, O]`. */
export function affine(ctx: LayerContext, x: Value, weight: Value, bias?: Value): Value {
  // All positions of a batch are several rows, whatever the batch.
  const isSurelyMany = dimNames(x.shape[0]!).length > 1;
  if (!ctx.batchInvariant || isSurelyMany) return ctx.b.op("Gemm", [x, weight, bias], { transB: 1 });
  // ONNX Runtime multiplies a single row by a routine of its own, which adds up in another order, but only where
  // alpha is 1. Negating is exact.
  return ctx.b.op("Gemm", [ctx.b.op("Neg", [x]), weight, bias], { transB: 1, alpha: -1 });
}
