import { PtuningError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

/** Value of an IEEE 754 half: 1 sign, 5 exponent and 10 fraction bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The same numbers as float32; a float32 tensor comes back as it is.
 * @throws FILE_INVALID if the tensor holds no floats of 16 or 32 bits
 */
export function toFloat32({ dtype, shape, data }: Tensor): Tensor<"float32"> {
  if (dtype === "float32") return { dtype, shape, data: data as Float32Array };
  const bits = data as Uint16Array;
  if (dtype === "float16")
    return { dtype: "float32", shape, data: Float32Array.from(bits, (half) => fromHalf(half)) };
  if (dtype !== "bfloat16")
    throw new PtuningError("FILE_INVALID", `weight: expected floats of 16 or 32 bits, got ${dtype}.`);
  // A bfloat16 is the upper half of a float32.
  const words = Uint32Array.from(bits, (upper) => upper << 16);
  return { dtype: "float32", shape, data: new Float32Array(words.buffer) };
}
