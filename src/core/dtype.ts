/** Element types of host tensors, graph values and checkpoint files. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";

/** The typed array that holds each dtype; 16-bit floats and booleans are kept as raw bits. */
export interface TypedArrays {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** Any of the arrays that hold tensor data. */
export type TypedArray = TypedArrays[DType];

interface TypedArrayConstructor<T> {
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

const constructors: { readonly [D in DType]: TypedArrayConstructor<TypedArrays[D]> } = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** Bytes that one element of `dtype` takes. */
export function byteSize(dtype: DType): number {
  return constructors[dtype].BYTES_PER_ELEMENT;
}

/** A zero-filled typed array of `length` elements. */
export function allocate<D extends DType>(dtype: D, length: number): TypedArrays[D] {
  return new constructors[dtype](length) as TypedArrays[D];
}

/** A typed array over `bytes`; copies only where the bytes are not aligned for the dtype. */
export function viewBytes<D extends DType>(dtype: D, bytes: Uint8Array): TypedArrays[D] {
  const size = byteSize(dtype);
  // `slice` of a Buffer would not copy.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new constructors[dtype](
    aligned.buffer,
    aligned.byteOffset,
    aligned.byteLength / size,
  ) as TypedArrays[D];
}

/** Whether values of `dtype` carry gradients. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float64" || dtype === "float16" || dtype === "bfloat16";
}

/** The memory of an array or a view, as bytes. */
export function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
