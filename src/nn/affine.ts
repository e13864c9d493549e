/** Legend: N rows, I and O widths of a linear layer. */
import { dimNames } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "./context.ts";

/** `x · Wᵀ + bias` in fp32: `[N, I]` and `[O, I]` → `[N, O]`. */
export function affine(ctx: LayerContext, x: Value, weight: Value, bias?: Value): Value {
  // All positions of a batch are several rows, whatever the batch.
  const isSurelyMany = dimNames(x.shape[0]!).length > 1;
  if (ctx.batchInvariant && !isSurelyMany) return steadyAffine(ctx, x, weight, bias);
  return ctx.b.op("Gemm", [x, weight, bias], { transB: 1 });
}

/**
 * The same where nobody trains: each number depends on its row of x and its row of W alone, to the bit, whatever stands beside
 * them and on however many threads. Products of as few columns as heads have are else added up in another order with
 * another number of rows or columns.
 */
export function steadyAffine({ b }: LayerContext, x: Value, weight: Value, bias?: Value): Value {
  // ONNX Runtime adds up in stretches of I that depend on the columns which a thread gets, but not where x comes
  // transposed; a single row goes through a routine of its own, but only where alpha is 1. Negating is exact, and keeps the
  // runtime from taking the transposition back.
  const turned = b.op("Neg", [b.op("Transpose", [x], { perm: [1, 0] })]);
  return b.op("Gemm", [turned, weight, bias], { transA: 1, transB: 1, alpha: -1 });
}
