/** What ops are made of, for engines that lack them. Legend: N rows, K columns of a matrix. */
import { addDims, type Dim } from "../core/index.ts";
import type { GraphBuilder } from "./builder.ts";
import { fourBitFloats } from "./four-bits.ts";
import type { Node, Value } from "./graph.ts";
import { axisFromFront, required } from "./op.ts";
import type { OpName } from "./table.ts";

/** A node to be written in other ops. */
interface PartsContext<O extends OpName> {
  readonly b: GraphBuilder;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Node<O>["attributes"];
}

/** Writes what an op is made of; returns its outputs. */
type Parts<O extends OpName> = (context: PartsContext<O>) => readonly Value[];

/** Matrices `[…, M, K]` in the order that a plain product reads, from how FusedMatMul may have them. */
function arranged(b: GraphBuilder, x: Value, moves: 0 | 1 | undefined, swaps: 0 | 1 | undefined): Value {
  const axes = [...x.shape.keys()];
  const batched = moves ? [...axes.slice(1, -1), 0, axes.length - 1] : axes;
  const perm = swaps ? [...batched.slice(0, -2), batched.at(-1)!, batched.at(-2)!] : batched;
  return perm.every((axis, i) => axis === i) ? x : b.op("Transpose", [x], { perm });
}

const FusedMatMul: Parts<"FusedMatMul"> = ({ b, inputs, attributes }) => {
  const [left, right] = [required(inputs, 0), required(inputs, 1)];
  const { transA, transB, transBatchA, transBatchB, alpha = 1 } = attributes;
  if (left.shape.length === 2 && right.shape.length === 2) {
    const flags = { ...(transA && { transA }), ...(transB && { transB }), ...(alpha !== 1 && { alpha }) };
    return [b.op("Gemm", [left, right], flags)];
  }
  const product = b.op("MatMul", [
    arranged(b, left, transBatchA, transA),
    arranged(b, right, transBatchB, transB),
  ]);
  return [alpha === 1 ? product : b.op("Mul", [product, b.scalar(alpha)])];
};

/** (A − zero point) · B · scales + bias. */
function integerProduct(
  b: GraphBuilder,
  codes: Value,
  weight: Value,
  zeroPoint: Value,
  scales: Value,
  bias: Value | undefined,
): Value {
  const product = b.op("MatMulInteger", [codes, weight, zeroPoint]);
  const scaled = b.op("Mul", [b.op("Cast", [product], { to: "float32" }), scales]);
  return bias ? b.op("Add", [scaled, bias]) : scaled;
}

const MatMulIntegerToFloat: Parts<"MatMulIntegerToFloat"> = ({ b, inputs }) => {
  const [codes, weight, scale, scales, zeroPoint] = [0, 1, 2, 3, 4].map((i) => required(inputs, i));
  return [integerProduct(b, codes!, weight!, zeroPoint!, b.op("Mul", [scale!, scales!]), inputs[6])];
};

const DynamicQuantizeMatMul: Parts<"DynamicQuantizeMatMul"> = ({ b, inputs }) => {
  const [x, weight, scales] = [0, 1, 2].map((i) => required(inputs, i));
  const [codes, scale, zeroPoint] = b.ops("DynamicQuantizeLinear", 3, [x!]);
  return [integerProduct(b, codes!, weight!, zeroPoint!, b.op("Mul", [scale!, scales!]), inputs[4])];
};

const MatMulNBits: Parts<"MatMulNBits"> = ({ b, inputs, attributes: { K, N, block_size } }) => {
  const [x, data, scales] = [0, 1, 2].map((i) => required(inputs, i)) as [Value, Value, Value];
  const bias = inputs[5];
  // Made when x is there: from constants alone a runtime would make the matrix once for all, and keep it.
  const blocks = fourBitFloats(b, b.after(data, x), b.reshape(scales, [N, K / block_size, 1]));
  const matrix = b.reshape(blocks, [N, K]);
  if (x.shape.length === 2) return [b.op("Gemm", [x, matrix, bias], { transB: 1 })];
  const product = b.op("FusedMatMul", [x, matrix], { transB: 1 });
  return [bias ? b.op("Add", [product, bias]) : product];
};

const LogSoftmax: Parts<"LogSoftmax"> = ({ b, inputs, attributes: { axis } }) => {
  const x = required(inputs, 0);
  const greatest = b.op("ReduceMax", [x, b.integers([axis])], { keepdims: 1 });
  const shifted = b.op("Sub", [x, greatest]);
  return [b.op("Sub", [shifted, b.op("Log", [b.sum(b.op("Exp", [shifted]), [axis], 1)])])];
};

const Split: Parts<"Split"> = ({ b, inputs, attributes }) => {
  const x = required(inputs, 0);
  const axis = axisFromFront(attributes.axis, x.shape.length, "Split");
  let start: Dim = 0;
  return required(inputs, 1).elements!.map((length) => {
    const end = addDims(start, length);
    const part = b.slice(x, axis, start, end);
    start = end;
    return part;
  });
};

/**
 * Op → its parts. They may hold ops of this table again, but never come back to the op itself. What is not here, an
 * engine must have.
 */
export const parts: { readonly [O in OpName]?: Parts<O> } = {
  FusedMatMul,
  MatMulIntegerToFloat,
  DynamicQuantizeMatMul,
  MatMulNBits,
  LogSoftmax,
  Split,
};
