import type { GraphBuilder, Value } from "../graph/index.ts";

/**
 * Weighted cross-entropy summed over rows: −Σ targets · log softmax(logits).
 * @param logits `[N, C]`
 * @param targets `[N, C]`: each row a one-hot label times the row's share of the loss; a zero row does not
 *   count. The host divides by the total weight of the effective batch, so micro-batches just add up.
 * @returns a scalar
 */
export function crossEntropy(b: GraphBuilder, logits: Value, targets: Value): Value {
  return b.scope("cross-entropy", () => {
    const logProbabilities = b.op("LogSoftmax", [logits], { axis: -1 });
    return b.op("Neg", [b.sum(b.op("Mul", [targets, logProbabilities]), [0, 1], 0)]);
  });
}
