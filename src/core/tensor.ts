import { allocate, type DType, type TypedArrays } from "./dtype.ts";
import { PtuningError } from "./errors.ts";
import type { ByteSource } from "./source.ts";

/** A dense, row-major tensor in host memory. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TypedArrays[D];
  /** Constants of a graph: the values before they were rounded to the dtype, for the float64 reference engine. */
  readonly exact?: Float64Array;
}

/** Named tensors: trainable parameters, gradients, feeds of a session. Keys are dotted paths. */
export type TensorMap = Readonly<Record<string, Tensor>>;

/** Trainable tensors, or their gradients: float32, or float64 where the reference engine trains. */
export type Params = Readonly<Record<string, Tensor<"float32" | "float64">>>;

/** Number of elements of a concrete shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/**
 * Makes a tensor from its parts.
 * @throws GRAPH_INVALID if the data does not have as many elements as the shape says.
 */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: TypedArrays[D]): Tensor<D> {
  const expected = elementCount(shape);
  if (data.length !== expected) {
    throw new PtuningError(
      "GRAPH_INVALID",
      `tensor [${shape.join(", ")}]: expected ${expected} elements, got ${data.length}.`,
    );
  }
  return { dtype, shape, data };
}

/** A float32 tensor of zeros. */
export function zeros(shape: readonly number[]): Tensor<"float32"> {
  return { dtype: "float32", shape, data: allocate("float32", elementCount(shape)) };
}

/** A float32 tensor from plain numbers. */
export function floats(shape: readonly number[], values: Iterable<number>): Tensor<"float32"> {
  return tensor("float32", shape, Float32Array.from(values));
}

/** An int32 tensor from plain numbers. */
export function int32s(shape: readonly number[], values: Iterable<number>): Tensor<"int32"> {
  return tensor("int32", shape, Int32Array.from(values));
}

/** An int64 tensor from plain numbers: shapes and axes of graph nodes. */
export function int64s(shape: readonly number[], values: Iterable<number>): Tensor<"int64"> {
  return tensor(
    "int64",
    shape,
    BigInt64Array.from(values, (value) => BigInt(value)),
  );
}

/** Total number of elements over all tensors of a map. */
export function parameterCount(params: TensorMap): number {
  return Object.values(params).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** A tensor whose bytes stay where they are, row-major and little-endian: frozen weights of a checkpoint. */
export interface ExternalTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** What holds it, among others. */
  readonly source: ByteSource;
  /** First byte in the source. */
  readonly offset: number;
  readonly byteLength: number;
}

/** Contents of a graph initializer. */
export type TensorSource = Tensor | ExternalTensor;

/** Whether the contents lie in a source of bytes. */
export function isExternal(source: TensorSource): source is ExternalTensor {
  return "source" in source;
}
