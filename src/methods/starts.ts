import { elementCount, floats, type Rng, type Tensor, zeros } from "../core/index.ts";
import type { Parameter } from "./method.ts";

function drawn(shape: readonly number[], draw: (rng: Rng) => number): Parameter {
  return {
    shape,
    start: ({ rng }): Tensor<"float32"> => ({
      dtype: "float32",
      shape,
      data: Float32Array.from({ length: elementCount(shape) }, () => draw(rng)),
    }),
  };
}

/** Starts normal with this standard deviation. */
export function normal(shape: readonly number[], scale: number): Parameter {
  return drawn(shape, (rng) => rng.normal() * scale);
}

/** Starts uniform over [−bound, bound). */
export function uniform(shape: readonly number[], bound: number): Parameter {
  return drawn(shape, (rng) => (2 * rng.uniform() - 1) * bound);
}

/** Starts with every number the same. */
export function constant(shape: readonly number[], value: number): Parameter {
  return { shape, start: () => floats(shape, new Float32Array(elementCount(shape)).fill(value)) };
}

/** Starts at zero. */
export function zero(shape: readonly number[]): Parameter {
  return { shape, start: () => zeros(shape) };
}
