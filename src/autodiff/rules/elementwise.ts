import { isFloat } from "../../core/index.ts";
import type { Rule } from "../rule.ts";
import { unbroadcast } from "../rule.ts";

export const Add: Rule<"Add"> = ({ b, inputs: [x, y], grad, needs }) => [
  needs[0] ? unbroadcast(b, grad, x!.shape) : undefined,
  needs[1] ? unbroadcast(b, grad, y!.shape) : undefined,
];

export const Sub: Rule<"Sub"> = ({ b, inputs: [x, y], grad, needs }) => [
  needs[0] ? unbroadcast(b, grad, x!.shape) : undefined,
  needs[1] ? b.op("Neg", [unbroadcast(b, grad, y!.shape)]) : undefined,
];

export const Mul: Rule<"Mul"> = ({ b, inputs: [x, y], grad, needs }) => [
  needs[0] ? unbroadcast(b, b.op("Mul", [grad, y]), x!.shape) : undefined,
  needs[1] ? unbroadcast(b, b.op("Mul", [grad, x]), y!.shape) : undefined,
];

export const Div: Rule<"Div"> = ({ b, inputs: [x, y], outputs: [quotient], grad, needs }) => {
  const scaled = b.op("Div", [grad, y]);
  return [
    needs[0] ? unbroadcast(b, scaled, x!.shape) : undefined,
    needs[1] ? b.op("Neg", [unbroadcast(b, b.op("Mul", [scaled, quotient]), y!.shape)]) : undefined,
  ];
};

export const Neg: Rule<"Neg"> = ({ b, grad }) => [b.op("Neg", [grad])];

export const Exp: Rule<"Exp"> = ({ b, outputs: [y], grad }) => [b.op("Mul", [grad, y])];

export const Log: Rule<"Log"> = ({ b, inputs: [x], grad }) => [b.op("Div", [grad, x])];

/** d erf(x) = 2/√π · exp(−x²) */
export const Erf: Rule<"Erf"> = ({ b, inputs: [x], grad }) => {
  const bell = b.op("Exp", [b.op("Neg", [b.op("Mul", [x, x])])]);
  return [b.op("Mul", [grad, b.op("Mul", [bell, b.scalar(2 / Math.sqrt(Math.PI))])])];
};

/** d tanh = 1 − y² */
export const Tanh: Rule<"Tanh"> = ({ b, outputs: [y], grad }) => [
  b.op("Mul", [grad, b.op("Sub", [b.scalar(1), b.op("Mul", [y, y])])]),
];

export const Sqrt: Rule<"Sqrt"> = ({ b, outputs: [y], grad }) => [
  b.op("Div", [b.op("Mul", [grad, b.scalar(0.5)]), y]),
];

export const Reciprocal: Rule<"Reciprocal"> = ({ b, outputs: [y], grad }) => [
  b.op("Neg", [b.op("Mul", [grad, b.op("Mul", [y, y])])]),
];

/** Passes where the output is not zero. */
export const Relu: Rule<"Relu"> = ({ b, outputs: [y], grad }) => [
  b.op("Mul", [grad, b.op("Cast", [b.op("Cast", [y], { to: "bool" })], { to: y!.dtype })]),
];

/**
 * Exact form: Φ(x) + x·φ(x). Tanh form, t = tanh(u), u = c·(x + 0.044715·x³):
 * ½·(1 + t) + ½·x·(1 − t²)·u′.
 */
export const Gelu: Rule<"Gelu"> = ({ b, inputs: [x], attributes, grad }) => {
  const half = b.scalar(0.5);
  const one = b.scalar(1);
  // Constants are float32: a second one holds the rest. Runtimes fold the sum, the float64 engine sees all of it.
  const constant = (value: number): typeof grad =>
    b.op("Add", [b.scalar(Math.fround(value)), b.scalar(value - Math.fround(value))]);
  const square = b.op("Mul", [x, x]);
  let derivative: typeof grad;
  if (attributes.approximate === "none") {
    const erf = b.op("Erf", [b.op("Mul", [x, constant(Math.SQRT1_2)])]);
    const cumulative = b.op("Mul", [b.op("Add", [erf, one]), half]);
    const bell = b.op("Exp", [b.op("Mul", [square, b.scalar(-0.5)])]);
    const density = b.op("Mul", [b.op("Mul", [x, constant(1 / Math.sqrt(2 * Math.PI))]), bell]);
    derivative = b.op("Add", [cumulative, density]);
  } else {
    const c = Math.sqrt(2 / Math.PI);
    const slope = b.op("Add", [b.op("Mul", [square, constant(3 * 0.044715 * c)]), constant(c)]);
    const cubic = b.op("Add", [b.op("Mul", [square, constant(0.044715 * c)]), constant(c)]);
    const t = b.op("Tanh", [b.op("Mul", [x, cubic])]);
    const bend = b.op("Mul", [b.op("Mul", [x, slope]), b.op("Sub", [one, b.op("Mul", [t, t])])]);
    derivative = b.op("Mul", [b.op("Add", [b.op("Add", [t, one]), bend]), half]);
  }
  return [b.op("Mul", [grad, derivative])];
};

export const Cast: Rule<"Cast"> = ({ b, inputs: [x], outputs: [y], grad }) => [
  isFloat(x!.dtype) && isFloat(y!.dtype) ? b.op("Cast", [grad], { to: x!.dtype }) : undefined,
];
