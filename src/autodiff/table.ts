import type { OpName } from "../graph/index.ts";
import type { Rule } from "./rule.ts";
import * as elementwise from "./rules/elementwise.ts";
import * as layout from "./rules/layout.ts";
import * as matmul from "./rules/matmul.ts";
import * as normalize from "./rules/normalize.ts";

/**
 * The gradient of every op, total over the op table: an op without an answer does not compile. `null` says
 * that an op has no gradient.
 */
export const rules: { readonly [O in OpName]: Rule<O> | null } = {
  ...elementwise,
  ...matmul,
  ...normalize,
  ...layout,
  DequantizeLinear: null,
  // What only quantisation reads.
  Abs: null,
  ReduceMax: null,
  // Rounding has no gradient; layers that use it say what to do instead (`withGradient`).
  QuantizeLinear: null,
  MatMulInteger: null,
  DynamicQuantizeLinear: null,
  MatMulIntegerToFloat: null,
  MatMulNBits: null,
  DynamicQuantizeMatMul: null,
  Shape: null,
};
