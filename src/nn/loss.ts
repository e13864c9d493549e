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
 * Weighted binary cross-entropy summed over rows and columns: −Σ weights · (t · log σ(z) + (1 − t) · log σ(−z)).
 * Written as a softmax over the pair (z, 0), which neither overflows nor loses digits for large z.
 * @param logits `[B, C]`, z
 * @param targets `[B, C]`, t: 1 or 0
 * @param weights `[B, 1]`
 * @returns a scalar
 */
export function binaryCrossEntropy(b: GraphBuilder, logits: Value, targets: Value, weights: Value): Value {
  const pairs = (yes: Value, no: Value): Value =>
    b.op("Concat", [b.reshape(yes, [...yes.shape, 1]), b.reshape(no, [...no.shape, 1])], { axis: 2 });
  return b.scope("binary cross-entropy", () => {
    const zeros = b.expand(b.scalar(0), logits.shape);
    const logProbabilities = b.op("LogSoftmax", [pairs(logits, zeros)], { axis: -1 });
    const weighted = (share: Value): Value => b.op("Mul", [share, weights]);
    const shares = pairs(weighted(targets), weighted(b.op("Sub", [b.scalar(1), targets])));
    return b.op("Neg", [b.sum(b.op("Mul", [shares, logProbabilities]), [0, 1, 2], 0)]);
  });
}

/**
 * Weighted squared error summed over rows: Σ weights · (output − target)².
 * @param outputs `[B, C]` @param targets `[B, C]` @param weights `[B, 1]`
 * @returns a scalar
 */
export function squaredError(b: GraphBuilder, outputs: Value, targets: Value, weights: Value): Value {
  return b.scope("squared error", () => {
    const difference = b.op("Sub", [outputs, targets]);
    return b.sum(b.op("Mul", [b.op("Mul", [difference, difference]), weights]), [0, 1], 0);
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
