import { elementCount, isFloat } from "../../core/index.ts";
import { type NdArray, ndMap, ndMatMul, ndZeros } from "../ndarray.ts";
import type { NoAttributes, OpSpec } from "../op.ts";
import { axisFromFront, failGraph, required, shapeText } from "../op.ts";

/** (x − zero point) · scale, from uint8 or int8 to float32; scale and zero point are scalars. */
export const DequantizeLinear: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 3],
  infer({ inputs, name }) {
    const scale = required(inputs, 1, name);
    if (scale.shape.length !== 0) failGraph(name, "expected a scalar scale.");
    return [{ dtype: scale.dtype, shape: required(inputs, 0, name).shape }];
  },
  reference({ inputs }) {
    const zeroPoint = inputs[2]?.data[0] ?? 0;
    return [ndMap((x, scale) => (x - zeroPoint) * scale, required(inputs, 0), required(inputs, 1))];
  },
};

export interface QuantizeLinearAttributes {
  /** Axis that a list of scales belongs to; a scalar belongs to all. */
  readonly axis?: number;
}

/**
 * round(x / scale) + zero point, to even at halves, kept within uint8: inputs x, scale, zero point. Scale and zero point are
 * scalars, or lists along `axis`.
 */
export const QuantizeLinear: OpSpec<QuantizeLinearAttributes> = {
  domain: "",
  attributes: { axis: "int" },
  arity: [3, 3],
  infer({ inputs, attributes, name }) {
    const [x, scale, zeroPoint] = [0, 1, 2].map((i) => required(inputs, i, name));
    if (zeroPoint!.dtype !== "uint8") failGraph(name, `expected uint8 zero points, got ${zeroPoint!.dtype}.`);
    const { shape } = x!;
    const along = scale!.shape.length > 0 && shape[axisFromFront(attributes.axis ?? 1, shape.length, name)];
    for (const { shape: own } of [scale!, zeroPoint!]) {
      if (along === false ? own.length === 0 : own.length === 1 && own[0] === along) continue;
      failGraph(name, `expected scales and zero points for ${shapeText(shape)}, got ${shapeText(own)}.`);
    }
    return [{ dtype: "uint8", shape }];
  },
  reference({ inputs, attributes }) {
    const [x, scale, zeroPoint] = [0, 1, 2].map((i) => required(inputs, i)) as [NdArray, NdArray, NdArray];
    const axis = axisFromFront(attributes.axis ?? 1, Math.max(2, x.shape.length), "QuantizeLinear");
    const spread = ({ shape, data }: NdArray): NdArray =>
      shape.length === 0
        ? { shape, data }
        : { shape: x.shape.map((_, i) => (i === axis ? data.length : 1)), data };
    return [ndMap((v, s, z) => toUint8(roundToEven(v / s) + z), x, spread(scale), spread(zeroPoint))];
  },
};

/**
 * (A − zero point) · B in whole numbers: uint8 A `[…, K]`, int8 B `[K, N]`, a scalar zero point for A that may be left out,
 * (none for B) → int32.
 */
export const MatMulInteger: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 4],
  infer({ inputs, name }) {
    const [a, b] = [0, 1].map((i) => required(inputs, i, name));
    const zeroPoint = inputs[2];
    if (a!.dtype !== "uint8" || b!.dtype !== "int8" || (zeroPoint && zeroPoint.dtype !== "uint8")) {
      failGraph(name, `expected uint8 times int8, got ${a!.dtype} and ${b!.dtype}.`);
    }
    if (b!.shape.length !== 2 || a!.shape.at(-1) !== b!.shape[0]) {
      failGraph(name, `cannot multiply ${shapeText(a!.shape)} by ${shapeText(b!.shape)}.`);
    }
    if (inputs[3] || (zeroPoint && zeroPoint.shape.length > 0))
      failGraph(name, "expected a scalar zero point of A and none of B.");
    return [{ dtype: "int32", shape: [...a!.shape.slice(0, -1), b!.shape[1]!] }];
  },
  reference({ inputs }) {
    const [a, b] = [0, 1].map((i) => required(inputs, i)) as [NdArray, NdArray];
    const zeroPoint = inputs[2]?.data[0] ?? 0;
    return [
      ndMatMul(
        ndMap((x) => x - zeroPoint, a),
        b,
      ),
    ];
  },
};

/**
 * A float tensor brought to uint8 with one scale and one zero point; its range always includes 0. Outputs codes, scale,
 * zero point: x ≈ (code − zero point) · scale.
 */
export const DynamicQuantizeLinear: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [1, 1],
  infer({ inputs, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    if (!isFloat(dtype)) failGraph(name, `expected floats, got ${dtype}.`);
    return [
      { dtype: "uint8", shape },
      { dtype, shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },
  reference({ inputs }) {
    const x = required(inputs, 0);
    const { quantized, step, zeroPoint } = quantizeDynamically(x);
    const scalar = (value: number): NdArray => ({ shape: [], data: Float64Array.of(value) });
    const codes = { shape: x.shape, data: quantized.map((code) => code + zeroPoint) };
    return [codes, scalar(step), scalar(zeroPoint)];
  },
};

/**
 * (A − zero point) · B · scale of A · scale of B + bias: uint8 A `[M, K]`, int8 B `[K, N]`, a scale for A, one per column for B
 * `[N]`, a zero point for A, (none for B), bias `[N]` (ONNX Runtime contrib op).
 */
export const MatMulIntegerToFloat: OpSpec<NoAttributes> = {
  domain: "com.microsoft",
  attributes: {},
  arity: [5, 7],
  infer({ inputs, name }) {
    const [a, b, scaleA, scaleB, zeroPoint] = [0, 1, 2, 3, 4].map((i) => required(inputs, i, name));
    if (a!.dtype !== "uint8" || b!.dtype !== "int8" || zeroPoint!.dtype !== "uint8") {
      failGraph(name, `expected uint8 times int8, got ${a!.dtype} and ${b!.dtype}.`);
    }
    if (scaleA!.shape.length > 0 || zeroPoint!.shape.length > 0)
      failGraph(name, "expected a scalar scale of A.");
    const [inner, width] = b!.shape;
    if (b!.shape.length !== 2 || a!.shape.at(-1) !== inner || scaleB!.shape[0] !== width) {
      failGraph(
        name,
        `cannot multiply ${shapeText(a!.shape)} by ${shapeText(b!.shape)} with ${shapeText(scaleB!.shape)} scales.`,
      );
    }
    if (inputs[5]) failGraph(name, "expected no zero points of B.");
    return [{ dtype: scaleA!.dtype, shape: [...a!.shape.slice(0, -1), width!] }];
  },
  reference({ inputs }) {
    const [a, b, scaleA, scaleB, zeroPoint] = [0, 1, 2, 3, 4].map((i) => required(inputs, i)) as NdArray[];
    const bias = inputs[6] ?? ndZeros([b!.shape[1]!]);
    const product = ndMatMul(
      ndMap((x, z) => x - z, a!, zeroPoint!),
      b!,
    );
    return [ndMap((x, s, t, c) => x * s * t + c, product, scaleA!, scaleB!, bias)];
  },
};

/**
 * Product of a float matrix A, brought to uint8 with one scale and zero point for the whole tensor, and an int8
 * matrix B `[K, N]` with a scale per column; inputs A, B, scales `[N]`, (zero points: none), bias `[N]`
 * (ONNX Runtime contrib op). The quantisation of A is that of ONNX's DynamicQuantizeLinear.
 */
export const DynamicQuantizeMatMul: OpSpec<NoAttributes> = {
  domain: "com.microsoft",
  attributes: {},
  arity: [3, 5],
  infer({ inputs, name }) {
    const [a, b, scale] = [0, 1, 2].map((i) => required(inputs, i, name));
    if (!isFloat(a!.dtype) || b!.dtype !== "int8") {
      failGraph(name, `expected floats times int8, got ${a!.dtype} and ${b!.dtype}.`);
    }
    const [inner, width] = b!.shape;
    if (b!.shape.length !== 2 || a!.shape.at(-1) !== inner || scale!.shape[0] !== width) {
      failGraph(
        name,
        `cannot multiply ${shapeText(a!.shape)} by ${shapeText(b!.shape)} with ${shapeText(scale!.shape)} scales.`,
      );
    }
    if (inputs[3]) failGraph(name, "expected no zero points.");
    return [{ dtype: a!.dtype, shape: [...a!.shape.slice(0, -1), width!] }];
  },
  reference({ inputs }) {
    const [a, b, scale] = [0, 1, 2].map((i) => required(inputs, i)) as [NdArray, NdArray, NdArray];
    const bias = inputs[4] ?? ndZeros([b.shape[1]!]);
    const { quantized, step } = quantizeDynamically(a);
    const rows = { shape: [elementCount(a.shape.slice(0, -1)), b.shape[0]!], data: quantized };
    const product = ndMatMul(rows, b);
    const result = ndMap((x, s, c) => x * step * s + c, product, scale, bias);
    return [{ shape: [...a.shape.slice(0, -1), b.shape[1]!], data: result.data }];
  },
};

/** uint8 values minus their zero point, and the step between them; the range always includes 0. */
function quantizeDynamically({ data }: NdArray): {
  quantized: Float64Array;
  step: number;
  zeroPoint: number;
} {
  const least = data.reduce((a, x) => Math.min(a, x), 0);
  const most = data.reduce((a, x) => Math.max(a, x), 0);
  const step = (most - least) / 255 || 1;
  const zeroPoint = Math.min(255, Math.max(0, roundToEven(-least / step)));
  const quantized = data.map((x) => toUint8(roundToEven(x / step) + zeroPoint) - zeroPoint);
  return { quantized, step, zeroPoint };
}

function toUint8(x: number): number {
  return Math.min(255, Math.max(0, x));
}

function roundToEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
