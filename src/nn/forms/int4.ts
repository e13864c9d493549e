/**
 * 4-bit integers with a scale for each 32 of a row: `….int4 [O, I/32, 16]`, two to a byte, and `….int4.scale [O, I/32, 1]`. One
 * copy serves both directions: the gradient multiplies by the very numbers that the product does, so it is exact.
 *
 * Legend: N rows, I and O widths of a linear layer.
 */
import { fourBitFloats, fourBitZero, type GraphBuilder, type Value } from "../../graph/index.ts";
import { affine } from "../affine.ts";
import type { LayerContext } from "../context.ts";
import type { FrozenLinear, WeightForm } from "./form.ts";

/** Numbers with a scale in common. */
const block = 32;
const largest = 15;

const layoutVersion = 1;

const stored = (layer: string): string => `${layer}.weight.int4`;

/** Linear layers in 4 bits: an eighth of the bytes of fp32 and a fifth of those of int8, for a coarser backbone. */
export const int4: WeightForm = {
  fits: (has, layer) => has(stored(layer)),
  product(ctx, x, layer) {
    const { b } = ctx;
    const { inWidth, outWidth, bias } = layer;
    const [numbers, scales] = tensorsOf(ctx, layer);
    const blocks = inWidth / block;
    const attributes = { K: inWidth, N: outWidth, bits: 4, block_size: block };
    const multiply = (): Value =>
      ctx.batchInvariant
        ? affine(ctx, x, dequantized(b, numbers, scales, x, layer), bias)
        : b.op(
            "MatMulNBits",
            [x, numbers, b.reshape(scales, [outWidth, blocks]), undefined, undefined, bias],
            attributes,
          );
    if (ctx.batchInvariant) return multiply();
    return b.withGradient(bias ? [x, bias] : [x], multiply, (grad, needs) => [
      needs[0] ? b.op("MatMul", [grad, dequantized(b, numbers, scales, grad, layer)]) : undefined,
      ...(bias ? [needs[1] ? b.sum(grad, [0], 0) : undefined] : []),
    ]);
  },
  hasCoarseGradients: false,
  // Packed for products beside the file's pages, which gradients read.
  packedCopies: 2,
  isBestOn: () => false,
  stored: {
    layout: () => `int4-v${layoutVersion}`,
    tensors([rows, columns]) {
      if (columns % block !== 0) return undefined;
      const blocks = columns / block;
      return {
        ".int4": {
          dtype: "uint8",
          shape: [rows, blocks, block / 2],
          make: (matrix) => packed(matrix, blockScales(matrix)),
        },
        ".int4.scale": { dtype: "float32", shape: [rows, blocks, 1], make: blockScales },
      };
    },
  },
};

function tensorsOf(ctx: LayerContext, { name, inWidth, outWidth }: FrozenLinear): [Value, Value] {
  const blocks = inWidth / block;
  const own = stored(name);
  return [ctx.weight(own, [outWidth, blocks, block / 2]), ctx.weight(`${own}.scale`, [outWidth, blocks, 1])];
}

/**
 * The matrix `[O, I]` as floats, made when `trigger` is there: from constants alone the runtime would make it once for all,
 * and keep eight times the bytes.
 */
function dequantized(
  b: GraphBuilder,
  numbers: Value,
  scales: Value,
  trigger: Value,
  { inWidth, outWidth }: FrozenLinear,
): Value {
  return b.reshape(fourBitFloats(b, b.after(numbers, trigger), scales), [outWidth, inWidth]);
}

/** The number of each block that is farthest from 0, of two the first, becomes −8. */
function blockScales(matrix: Float32Array): Float32Array {
  // Without their sign the bits of floats have the order of floats, and are compared in a quarter of the time.
  const bits = new Int32Array(matrix.buffer, matrix.byteOffset, matrix.length);
  const scales = new Float32Array(matrix.length / block);
  for (let i = 0; i < scales.length; i++) {
    let [most, farthest] = [0, i * block];
    for (let j = i * block, end = j + block; j < end; j++) {
      const magnitude = bits[j]! & 0x7fffffff;
      if (magnitude <= most) continue;
      most = magnitude;
      farthest = j;
    }
    scales[i] = -matrix[farthest]! / fourBitZero || 1;
  }
  return scales;
}

/** Two numbers to a byte, the first in the lower half. */
function packed(matrix: Float32Array, scales: Float32Array): Uint8Array {
  const bytes = new Uint8Array(matrix.length / 2);
  for (let i = 0, at = 0; i < scales.length; i++) {
    const scale = scales[i]!;
    for (const end = at + block / 2; at < end; at++)
      bytes[at] = code(matrix[2 * at]! / scale) + 16 * code(matrix[2 * at + 1]! / scale);
  }
  return bytes;
}

/** The nearest of the numbers for one that is −8 at least; as an integer it is cut, which takes a seventh of rounding. */
const code = (multiple: number): number => Math.min(largest, (multiple + fourBitZero + 0.5) | 0);
