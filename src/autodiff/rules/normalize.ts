import { multiplyDims } from "../../core/index.ts";
import { failGraph } from "../../graph/index.ts";
import type { Rule } from "../rule.ts";
import { unbroadcast } from "../rule.ts";

/** dx = y · (g − Σ g·y) */
export const Softmax: Rule<"Softmax"> = ({ b, outputs: [y], attributes: { axis }, grad }) => {
  const dot = b.sum(b.op("Mul", [grad, y]), [axis], 1);
  return [b.op("Mul", [y, b.op("Sub", [grad, dot])])];
};

/** dx = g − exp(y) · Σ g */
export const LogSoftmax: Rule<"LogSoftmax"> = ({ b, outputs: [y], attributes: { axis }, grad }) => [
  b.op("Sub", [grad, b.op("Mul", [b.op("Exp", [y]), b.sum(grad, [axis], 1)])]),
];

/**
 * With c = x − mean, r the inverse deviation and h = g·scale:
 * dx = r·(h − mean(h)) − c·(r³·mean(h·c)). No normalised x is made: it would cost a pass over the tensor.
 */
export const LayerNormalization: Rule<"LayerNormalization"> = (context) => {
  const { b, inputs, outputs, grad, grads, needs, name } = context;
  if (grads[1] || grads[2]) failGraph(name, "mean and deviation have no gradient of their own.");
  const [x, scale, bias] = inputs as [typeof grad, typeof grad, typeof grad];
  const [, mean, inverse] = outputs;
  if (!mean || !inverse) failGraph(name, "expected all three outputs, which the gradient reads.");
  const centered = b.op("Sub", [x, mean]);
  const average = (value: typeof grad): typeof grad =>
    b.op("ReduceMean", [value, b.integers([-1])], { keepdims: 1 });
  const gradOfX = (): typeof grad => {
    const h = b.op("Mul", [grad, scale]);
    const cube = b.op("Mul", [b.op("Mul", [inverse, inverse]), inverse]);
    const pull = b.op("Mul", [average(b.op("Mul", [h, centered])), cube]);
    const spread = b.op("Mul", [b.op("Sub", [h, average(h)]), inverse]);
    return b.op("Sub", [spread, b.op("Mul", [centered, pull])]);
  };
  return [
    needs[0] ? gradOfX() : undefined,
    needs[1] ? unbroadcast(b, b.op("Mul", [grad, b.op("Mul", [centered, inverse])]), scale.shape) : undefined,
    needs[2] ? unbroadcast(b, grad, bias.shape) : undefined,
  ];
};

const spread = (context: Parameters<Rule<"ReduceSum" | "ReduceMean">>[0]): typeof context.grad => {
  const { b, inputs, outputs, grad, attributes } = context;
  const shape = inputs[0]!.shape;
  if (attributes.keepdims) return b.expand(grad, shape);
  const given = inputs[1]?.elements as number[] | undefined;
  // No axes are all axes.
  const axes = given?.length ? given : [...shape.keys()];
  const front = new Set(axes.map((axis) => (axis < 0 ? axis + shape.length : axis)));
  const kept = shape.map((dim, axis) => (front.has(axis) ? 1 : dim));
  return b.expand(outputs[0]!.shape.length === shape.length ? grad : b.reshape(grad, kept), shape);
};

export const ReduceSum: Rule<"ReduceSum"> = (context) => [spread(context)];

export const ReduceMean: Rule<"ReduceMean"> = (context) => {
  const { b, inputs, outputs } = context;
  const size = (value: typeof context.grad): typeof value =>
    b.op("Cast", [b.dims([value.shape.reduce(multiplyDims, 1)])], { to: context.grad.dtype });
  return [b.op("Div", [b.op("Mul", [spread(context), size(outputs[0]!)]), size(inputs[0]!)])];
};
