import { readFileSync } from "node:fs";
import { allocate, type DType, type Tensor } from "ptuning/core";

export interface GoldenTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

export interface OpCase {
  readonly op: string;
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly (GoldenTensor | null)[];
  readonly outputs: readonly GoldenTensor[];
}

/** Path of a file under test/golden. */
export function goldenPath(name: string): string {
  return new URL(`../golden/${name}`, import.meta.url).pathname;
}

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(goldenPath(name), "utf8"));
}

/** A golden tensor as the engines take it. */
export function hostTensor({ dtype, shape, data }: GoldenTensor): Tensor {
  const array = allocate(dtype, data.length);
  for (const [i, value] of data.entries())
    (array as Float64Array)[i] = dtype === "int64" ? (BigInt(value) as never) : value;
  return { dtype, shape, data: array };
}

/** Greatest |a − b| divided by max(1, max |b|). */
export function relativeError(
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [worst, scale] = [0, 1];
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(Number(actual[i]) - Number(expected[i])));
    scale = Math.max(scale, Math.abs(Number(expected[i])));
    if (Number.isNaN(Number(actual[i]))) return Number.POSITIVE_INFINITY;
  }
  return worst / scale;
}

/** Greatest |a − b| divided by the greatest |b| of the tensor, or by `least`; infinite where shapes differ. */
export function perTensorError(actual: Tensor, expected: Tensor, least = 0): number {
  if (`${actual.shape}` !== `${expected.shape}`) return Number.POSITIVE_INFINITY;
  let [worst, scale] = [0, least];
  for (let i = 0; i < expected.data.length; i++) {
    worst = Math.max(worst, Math.abs(Number(actual.data[i]) - Number(expected.data[i])));
    scale = Math.max(scale, Math.abs(Number(expected.data[i])));
  }
  return worst / scale;
}
