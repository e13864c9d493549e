import {
  allocate,
  type ByteSource,
  byteSize,
  type DType,
  elementCount,
  type Tensor,
  viewBytes,
} from "../core/index.ts";

/** Where one tensor lies in its file, little-endian. */
export interface TensorEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  /** From the first to the last element. */
  readonly byteLength: number;
  /** Elements from one to the next along each axis; absent where the tensor lies row-major, without gaps. */
  readonly strides?: readonly number[];
}

/** Reads one tensor into memory, row-major. */
export async function readTensor(source: ByteSource, entry: TensorEntry): Promise<Tensor> {
  return tensorOf(entry, await source.read(entry.offset, entry.byteLength));
}

/** The tensor of an entry whose bytes were read. */
export function tensorOf({ dtype, shape, strides }: TensorEntry, bytes: Uint8Array): Tensor {
  const data = viewBytes(dtype, bytes);
  if (strides === undefined) return { dtype, shape, data };
  const ordered = allocate(dtype, elementCount(shape));
  for (let at = 0, from = 0, index = shape.map(() => 0); at < ordered.length; at++) {
    ordered[at] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return { dtype, shape, data: ordered };
}

/**
 * The entry of a strided tensor within a storage that begins at `start`.
 * @param first its first element, counted in the storage
 */
export function stridedEntry(
  dtype: DType,
  shape: readonly number[],
  strides: readonly number[],
  start: number,
  first: number,
): TensorEntry {
  const width = byteSize(dtype);
  const span = spanOf(shape, strides);
  const entry = { dtype, shape, offset: start + first * width, byteLength: span * width };
  return isRowMajor(shape, strides) ? entry : { ...entry, strides };
}

/** Elements from the first to the last of a strided tensor. */
export function spanOf(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, length, axis) => span + (length - 1) * strides[axis]!, 1);
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return shape.includes(0);
    expected *= shape[axis]!;
  }
  return true;
}
