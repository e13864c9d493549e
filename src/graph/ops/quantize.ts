import { elementCount, isFloat } from "../../core/index.ts";
import { type NdArray, ndMap, ndMatMul, ndZeros } from "../ndarray.ts";
import type { NoAttributes, OpSpec } from "../op.ts";
import { failGraph, required, shapeText } from "../op.ts";

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
function quantizeDynamically({ data }: NdArray): { quantized: Float64Array; step: number } {
  const least = data.reduce((a, x) => Math.min(a, x), 0);
  const most = data.reduce((a, x) => Math.max(a, x), 0);
  const step = (most - least) / 255 || 1;
  const zeroPoint = Math.min(255, Math.max(0, roundToEven(-least / step)));
  const quantized = data.map(
    (x) => Math.min(255, Math.max(0, roundToEven(x / step) + zeroPoint)) - zeroPoint,
  );
  return { quantized, step };
}

function roundToEven(x: number): number {
  const rounded = Math.round(x);
  return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
