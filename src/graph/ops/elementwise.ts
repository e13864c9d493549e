import { addDims, type Dim, type DType, divideDims, multiplyDims, subtractDims } from "../../core/index.ts";
import { ndMap } from "../ndarray.ts";
import type { InferContext, NoAttributes, OpSpec } from "../op.ts";
import { broadcastShapes, failGraph, required } from "../op.ts";
import { erf } from "./erf.ts";

type DimOperation = (a: Dim, b: Dim) => Dim | undefined;

function binary(fn: (a: number, b: number) => number, onDims?: DimOperation): OpSpec<NoAttributes> {
  return {
    domain: "",
    attributes: {},
    arity: [2, 2],
    infer({ inputs, name }) {
      const a = required(inputs, 0, name);
      const b = required(inputs, 1, name);
      if (a.dtype !== b.dtype) failGraph(name, `expected equal dtypes, got ${a.dtype} and ${b.dtype}.`);
      const shape = broadcastShapes(name, a.shape, b.shape);
      const elements = onDims && combineElements(a.elements, b.elements, onDims);
      return [{ dtype: a.dtype, shape, ...(elements && { elements }) }];
    },
    reference: ({ inputs }) => [ndMap(fn, required(inputs, 0), required(inputs, 1))],
  };
}

function combineElements(
  a: readonly Dim[] | undefined,
  b: readonly Dim[] | undefined,
  onDims: DimOperation,
): Dim[] | undefined {
  if (a === undefined || b === undefined) return undefined;
  const length = Math.max(a.length, b.length);
  const combined = Array.from({ length }, (_, i) =>
    onDims(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!),
  );
  return combined.every((dim) => dim !== undefined) ? combined : undefined;
}

function sameType<A>({ inputs, name }: InferContext<A>): [{ dtype: DType; shape: readonly Dim[] }] {
  const { dtype, shape } = required(inputs, 0, name);
  return [{ dtype, shape }];
}

function unary(fn: (x: number) => number): OpSpec<NoAttributes> {
  return {
    domain: "",
    attributes: {},
    arity: [1, 1],
    infer: sameType,
    reference: ({ inputs }) => [ndMap(fn, required(inputs, 0))],
  };
}

export const Add: OpSpec<NoAttributes> = binary((a, b) => a + b, addDims);
export const Sub: OpSpec<NoAttributes> = binary((a, b) => a - b, subtractDims);
export const Mul: OpSpec<NoAttributes> = binary((a, b) => a * b, multiplyDims);
export const Div: OpSpec<NoAttributes> = binary((a, b) => a / b, divideDims);

export const Neg: OpSpec<NoAttributes> = unary((x) => -x);
export const Abs: OpSpec<NoAttributes> = unary(Math.abs);
export const Exp: OpSpec<NoAttributes> = unary(Math.exp);
export const Log: OpSpec<NoAttributes> = unary(Math.log);
export const Erf: OpSpec<NoAttributes> = unary(erf);
export const Tanh: OpSpec<NoAttributes> = unary(Math.tanh);
export const Sqrt: OpSpec<NoAttributes> = unary(Math.sqrt);
export const Reciprocal: OpSpec<NoAttributes> = unary((x) => 1 / x);
export const Relu: OpSpec<NoAttributes> = unary((x) => Math.max(x, 0));

export interface GeluAttributes {
  /** `"none"`: x·Φ(x) with the error function; `"tanh"`: Hendrycks and Gimpel's approximation. */
  readonly approximate: "none" | "tanh";
}

export const Gelu: OpSpec<GeluAttributes> = {
  domain: "",
  attributes: { approximate: "string" },
  arity: [1, 1],
  infer: sameType,
  reference: ({ inputs, attributes }) => [
    ndMap(
      attributes.approximate === "tanh"
        ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
        : (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
      required(inputs, 0),
    ),
  ],
};

export interface CastAttributes {
  readonly to: DType;
}

export const Cast: OpSpec<CastAttributes> = {
  domain: "",
  attributes: { to: "dtype" },
  arity: [1, 1],
  infer({ inputs, attributes, name }) {
    const { shape, elements } = required(inputs, 0, name);
    return [{ dtype: attributes.to, shape, ...(elements && { elements }) }];
  },
  reference: ({ inputs, attributes }) => [ndMap(casts[attributes.to], required(inputs, 0))],
};

const keep = (x: number): number => x;
/** Floats stay in double precision: the reference engine shows what exact arithmetic would give. */
const casts: { readonly [D in DType]: (x: number) => number } = {
  float32: keep,
  float64: keep,
  float16: keep,
  bfloat16: keep,
  int64: Math.trunc,
  int32: Math.trunc,
  int16: (x) => (Math.trunc(x) << 16) >> 16,
  int8: (x) => (Math.trunc(x) << 24) >> 24,
  uint8: (x) => Math.trunc(x) & 255,
  bool: (x) => (x === 0 ? 0 : 1),
};
