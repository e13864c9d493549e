import type { Dim } from "../core/index.ts";
import type { GraphBuilder, OpAttributes, OpName, Value } from "../graph/index.ts";

/** What a rule sees of the node it differentiates. */
interface RuleContext<O extends OpName = OpName> {
  /** Appends the backward nodes. */
  readonly b: GraphBuilder;
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: OpAttributes[O];
  /** Gradient of the loss with respect to the first output. */
  readonly grad: Value;
  /** The same for each output; `undefined` where the loss does not depend on it. */
  readonly grads: readonly (Value | undefined)[];
  /** Which inputs lead back to a trainable tensor; the others need no gradient. */
  readonly needs: readonly boolean[];
}

/** Gradients for the inputs in order; entries that are not needed may be left out. */
export type Rule<O extends OpName = OpName> = (context: RuleContext<O>) => readonly (Value | undefined)[];

/** Sums a gradient over the axes along which a value of `shape` was broadcast. */
export function unbroadcast(b: GraphBuilder, grad: Value, shape: readonly Dim[]): Value {
  const lead = grad.shape.length - shape.length;
  const axes = grad.shape.flatMap((dim, axis) =>
    axis < lead || (shape[axis - lead] === 1 && dim !== 1) ? [axis] : [],
  );
  if (axes.length === 0) return grad;
  const summed = b.sum(grad, axes, 1);
  return lead === 0 ? summed : b.reshape(summed, shape);
}
