import type { Dim } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import { maskedLogit } from "./attention.ts";

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

/**
 * Weighted cross-entropy over positions, summed over sequences and over the kinds of position that are sought:
 * −Σ targets · log softmax(logits over S).
 * @param logits `[S·B, K]`: row `s·B + b` holds the logits of position `s` of sequence `b`, one for each kind
 * @param targets `[S, B, K]`: for each sequence and kind a one-hot position times its share of the loss
 * @param kept `[S, B]`: 1 where a position can be chosen, 0 for padding
 * @returns a scalar
 */
export function positionCrossEntropy(b: GraphBuilder, logits: Value, targets: Value, kept: Value): Value {
  return b.scope("position-cross-entropy", () => {
    const [length, batch] = targets.shape as [Dim, Dim];
    const shift = b.op("Mul", [b.op("Sub", [b.scalar(1), kept]), b.scalar(maskedLogit)]);
    const byPosition = b.op("Add", [b.reshape(logits, targets.shape), b.reshape(shift, [length, batch, 1])]);
    const logProbabilities = b.op("LogSoftmax", [byPosition], { axis: 0 });
    return b.op("Neg", [b.sum(b.op("Mul", [targets, logProbabilities]), [0, 1, 2], 0)]);
  });
}
