import { readFileSync } from "node:fs";
import {
  allocate,
  type DType,
  floats,
  int32s,
  type Params,
  type Tensor,
  type TensorMap,
} from "ptuning/internal/core";

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

/** Tensors whose names start so, by the rest of their names. */
export function withPrefix(
  tensors: Readonly<Record<string, Tensor>>,
  prefix: string,
): Record<string, Tensor> {
  const entries = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** A golden batch `[B, S]` as graphs take it, positions outside. */
export function goldenFeeds(
  batch: Readonly<Record<"inputIds" | "tokenTypeIds" | "attentionMask", readonly (readonly number[])[]>>,
): TensorMap {
  const transposed = (rows: readonly (readonly number[])[]): Tensor =>
    int32s(
      [rows[0]!.length, rows.length],
      rows[0]!.flatMap((_, s) => rows.map((row) => row[s]!)),
    );
  return {
    input_ids: transposed(batch.inputIds),
    token_type_ids: transposed(batch.tokenTypeIds),
    attention_mask: transposed(batch.attentionMask),
  };
}

/** As the engine takes them: float32. */
export function single(tensors: Params): Params {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => [name, floats(shape, data)]),
  );
}
