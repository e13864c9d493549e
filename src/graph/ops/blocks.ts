/** ONNX Runtime's product of 4-bit numbers with a scale per block. Legend: N rows, K columns, nb = K / block. */
import { numbersOfByte } from "../byte-numbers.ts";
import { type NdArray, ndMap, ndMatMul, ndZeros } from "../ndarray.ts";
import type { OpSpec } from "../op.ts";
import { failGraph, required, shapeText } from "../op.ts";

function unpacked({ data }: NdArray): Float64Array {
  const numbers = new Float64Array(2 * data.length);
  for (const [i, byte] of data.entries()) {
    const [low, high] = numbersOfByte(byte);
    numbers[2 * i] = low;
    numbers[2 * i + 1] = high;
  }
  return numbers;
}

/** Each block of numbers times its scale. */
function scaled(numbers: Float64Array, scales: NdArray, block: number): Float64Array {
  return numbers.map((number, i) => number * scales.data[Math.floor(i / block)]!);
}

/** A, B and the scales. */
const factors = <T>(inputs: readonly (T | undefined)[], where?: string): readonly [T, T, T] => [
  required(inputs, 0, where),
  required(inputs, 1, where),
  required(inputs, 2, where),
];

export interface MatMulNBitsAttributes {
  readonly K: number;
  readonly N: number;
  readonly bits: number;
  readonly block_size: number;
}

/**
 * A · Bᵀ + bias: floats `[…, K]`, 4-bit numbers `[N, nb, block / 2]` in uint8, a scale per block `[N, nb]`; inputs A, B,
 * scales, (zero points, group indices: none), bias `[N]`.
 */
export const MatMulNBits: OpSpec<MatMulNBitsAttributes> = {
  domain: "com.microsoft",
  attributes: { K: "int", N: "int", bits: "int", block_size: "int" },
  arity: [3, 6],
  infer({ inputs, attributes: { K, N, bits, block_size: block }, name }) {
    const [a, b, scales] = factors(inputs, name);
    if (bits !== 4 || K % block !== 0) failGraph(name, "expected 4 bits and whole blocks.");
    const wanted = `${[N, K / block, block / 2]} and ${[N, K / block]}`;
    if (b.dtype !== "uint8" || a.shape.at(-1) !== K || `${b.shape} and ${scales.shape}` !== wanted) {
      failGraph(name, `cannot multiply ${shapeText(a.shape)} by ${shapeText(b.shape)}.`);
    }
    if (inputs[3] || inputs[4]) failGraph(name, "expected no zero points and no group indices.");
    return [{ dtype: a.dtype, shape: [...a.shape.slice(0, -1), N] }];
  },
  reference({ inputs, attributes: { K, N, block_size: block } }) {
    const [a, b, scales] = factors(inputs);
    const weight = scaled(unpacked(b), scales, block);
    const turned = Float64Array.from({ length: K * N }, (_, i) => weight[(i % N) * K + Math.floor(i / N)]!);
    const product = ndMatMul(a, { shape: [K, N], data: turned });
    return [ndMap((x, c) => x + c, product, inputs[5] ?? ndZeros([N]))];
  },
};
