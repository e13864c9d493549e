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

/** Every half as a float32: a look-up takes a fraction of the time. */
let halves: Float32Array | undefined;

/**
 * The same numbers as float32, those of 64 bits rounded; a float32 tensor comes back as it is.
 * @throws FILE_INVALID if the tensor holds no floats
 */
export function toFloat32({ dtype, shape, data }: Tensor): Tensor<"float32"> {
  if (dtype === "float32") return { dtype, shape, data: data as Float32Array };
  if (dtype === "float64") return { dtype: "float32", shape, data: new Float32Array(data as Float64Array) };
  const bits = data as Uint16Array;
  const values = new Float32Array(bits.length);
  if (dtype === "float16") {
    halves ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => fromHalf(half));
    for (let i = 0; i < bits.length; i++) values[i] = halves[bits[i]!]!;
  } else if (dtype === "bfloat16") {
    // A bfloat16 is the upper half of a float32.
    const words = new Uint32Array(values.buffer);
    for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  } else {
    throw new PtuningError("FILE_INVALID", `weight: expected floats, got ${dtype}.`);
  }
  return { dtype: "float32", shape, data: values };
}
