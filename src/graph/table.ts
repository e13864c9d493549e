import type { NoAttributes, OpSpec } from "./op.ts";
import * as blocks from "./ops/blocks.ts";
import * as elementwise from "./ops/elementwise.ts";
import * as layout from "./ops/layout.ts";
import * as matmul from "./ops/matmul.ts";
import * as normalize from "./ops/normalize.ts";
import * as quantize from "./ops/quantize.ts";

/** Every op that a graph may hold, with the type of its attributes. */
export interface OpAttributes {
  Add: NoAttributes;
  Sub: NoAttributes;
  Mul: NoAttributes;
  Div: NoAttributes;
  Neg: NoAttributes;
  Abs: NoAttributes;
  Exp: NoAttributes;
  Log: NoAttributes;
  Erf: NoAttributes;
  Tanh: NoAttributes;
  Sqrt: NoAttributes;
  Reciprocal: NoAttributes;
  Relu: NoAttributes;
  Gelu: elementwise.GeluAttributes;
  Cast: elementwise.CastAttributes;
  DequantizeLinear: NoAttributes;
  QuantizeLinear: quantize.QuantizeLinearAttributes;
  MatMulInteger: NoAttributes;
  DynamicQuantizeLinear: NoAttributes;
  MatMulIntegerToFloat: NoAttributes;
  DynamicQuantizeMatMul: NoAttributes;
  MatMulNBits: blocks.MatMulNBitsAttributes;
  MatMul: NoAttributes;
  Gemm: matmul.GemmAttributes;
  FusedMatMul: matmul.FusedMatMulAttributes;
  Softmax: normalize.AxisAttributes;
  LogSoftmax: normalize.AxisAttributes;
  LayerNormalization: normalize.LayerNormalizationAttributes;
  ReduceSum: normalize.ReduceAttributes;
  ReduceMean: normalize.ReduceAttributes;
  ReduceMax: normalize.ReduceAttributes;
  Shape: layout.ShapeAttributes;
  Reshape: NoAttributes;
  Transpose: layout.TransposeAttributes;
  Expand: NoAttributes;
  Concat: normalize.AxisAttributes;
  Slice: NoAttributes;
  Split: normalize.AxisAttributes;
  Pad: NoAttributes;
  Gather: normalize.AxisAttributes;
  ScatterND: layout.ScatterAttributes;
}

/** Name of an op in the table. */
export type OpName = keyof OpAttributes;

/** The op table: what each op means. Spelled as ONNX spells it; see `domain` for ONNX Runtime's own. */
export const ops: { readonly [O in OpName]: OpSpec<OpAttributes[O]> } = {
  ...elementwise,
  ...matmul,
  ...normalize,
  ...layout,
  ...quantize,
  ...blocks,
};

/** The spec of any op, for code that treats all ops alike. */
export function specOf(op: OpName): OpSpec<object> {
  return ops[op] as OpSpec<object>;
}
