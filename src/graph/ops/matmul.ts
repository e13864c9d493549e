import type { Dim } from "../../core/index.ts";
import type { NdArray } from "../ndarray.ts";
import { ndMap, ndMatMul, ndSwapLast, ndTranspose } from "../ndarray.ts";
import type { NoAttributes, OpSpec } from "../op.ts";
import { broadcastShapes, failGraph, required, shapeText } from "../op.ts";

/** Shape of the product of `[…, M, K]` and `[…, K, N]`. */
function productShape(a: readonly Dim[], b: readonly Dim[], name: string): Dim[] {
  if (a.length < 2 || b.length < 2 || a.at(-1) !== b.at(-2)) {
    failGraph(name, `cannot multiply ${shapeText(a)} by ${shapeText(b)}: inner lengths differ.`);
  }
  return [...broadcastShapes(name, a.slice(0, -2), b.slice(0, -2)), a.at(-2)!, b.at(-1)!];
}

export const MatMul: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 2],
  infer({ inputs, name }) {
    const a = required(inputs, 0, name);
    const b = required(inputs, 1, name);
    return [{ dtype: a.dtype, shape: productShape(a.shape, b.shape, name) }];
  },
  reference: ({ inputs }) => [ndMatMul(required(inputs, 0), required(inputs, 1))],
};

export interface GemmAttributes {
  readonly transA?: 0 | 1;
  readonly transB?: 0 | 1;
  readonly alpha?: number;
  readonly beta?: number;
}

const swapShape = (shape: readonly Dim[], swap: 0 | 1 | undefined): readonly Dim[] =>
  swap ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : shape;
const swapArray = (array: NdArray, swap: 0 | 1 | undefined): NdArray => (swap ? ndSwapLast(array) : array);

/** `alpha · op(A) · op(B) + beta · C` on matrices. */
export const Gemm: OpSpec<GemmAttributes> = {
  domain: "",
  attributes: { transA: "int", transB: "int", alpha: "float", beta: "float" },
  arity: [2, 3],
  infer({ inputs, attributes, name }) {
    const a = required(inputs, 0, name);
    const b = required(inputs, 1, name);
    if (a.shape.length !== 2 || b.shape.length !== 2) {
      failGraph(name, `expected matrices, got ${shapeText(a.shape)} and ${shapeText(b.shape)}.`);
    }
    const shape = productShape(
      swapShape(a.shape, attributes.transA),
      swapShape(b.shape, attributes.transB),
      name,
    );
    const c = inputs[2];
    if (c && broadcastShapes(name, shape, c.shape).some((dim, axis) => dim !== shape[axis])) {
      failGraph(name, `expected a bias that broadcasts to ${shapeText(shape)}, got ${shapeText(c.shape)}.`);
    }
    return [{ dtype: a.dtype, shape }];
  },
  reference({ inputs, attributes: { transA, transB, alpha = 1, beta = 1 } }) {
    const product = ndMatMul(swapArray(required(inputs, 0), transA), swapArray(required(inputs, 1), transB));
    const c = inputs[2];
    return [c ? ndMap((x, y) => alpha * x + beta * y, product, c) : ndMap((x) => alpha * x, product)];
  },
};

export interface FusedMatMulAttributes {
  readonly transA?: 0 | 1;
  readonly transB?: 0 | 1;
  /** A is stored as [M, batch…, K]: its first axis moves behind the batch axes before anything else. */
  readonly transBatchA?: 0 | 1;
  readonly transBatchB?: 0 | 1;
  readonly alpha?: number;
}

const batchShape = (shape: readonly Dim[], move: 0 | 1 | undefined): readonly Dim[] =>
  move ? [...shape.slice(1, -1), shape[0]!, shape.at(-1)!] : shape;
const batchArray = (array: NdArray, move: 0 | 1 | undefined): NdArray => {
  if (!move) return array;
  const rank = array.shape.length;
  return ndTranspose(array, [...array.shape.keys()].slice(1, -1).concat(0, rank - 1));
};

/** `alpha · op(A) · op(B)`, batched (ONNX Runtime contrib op). */
export const FusedMatMul: OpSpec<FusedMatMulAttributes> = {
  domain: "com.microsoft",
  attributes: { transA: "int", transB: "int", transBatchA: "int", transBatchB: "int", alpha: "float" },
  arity: [2, 2],
  infer({ inputs, attributes, name }) {
    const a = required(inputs, 0, name);
    const b = required(inputs, 1, name);
    const { transA, transB, transBatchA, transBatchB } = attributes;
    const left = swapShape(batchShape(a.shape, transBatchA), transA);
    const right = swapShape(batchShape(b.shape, transBatchB), transB);
    return [{ dtype: a.dtype, shape: productShape(left, right, name) }];
  },
  reference({ inputs, attributes: { transA, transB, transBatchA, transBatchB, alpha = 1 } }) {
    const left = swapArray(batchArray(required(inputs, 0), transBatchA), transA);
    const right = swapArray(batchArray(required(inputs, 1), transBatchB), transB);
    return [ndMap((x) => alpha * x, ndMatMul(left, right))];
  },
};
