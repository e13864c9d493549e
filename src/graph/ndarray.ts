import { elementCount } from "../core/index.ts";

/** A dense row-major float64 array: the currency of the reference kernels. Integers are kept as numbers. */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** A zero-filled array. */
export function ndZeros(shape: readonly number[]): NdArray {
  return { shape, data: new Float64Array(elementCount(shape)) };
}

/** Row-major strides of a shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Strides with which `shape` is read under `target`: 0 along broadcast axes. */
function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const own = stridesOf(shape);
  const lead = target.length - shape.length;
  return target.map((_, axis) => (axis < lead || shape[axis - lead] === 1 ? 0 : own[axis - lead]!));
}

/** numpy's broadcast of concrete shapes; inference has checked that they fit. */
function broadcastConcrete(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const lengths = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    return lengths.find((length) => length !== 1) ?? 1;
  });
}

/** Calls `visit` with the flat output index and one flat source index per list of strides. */
function forEachIndex(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (out: number, sources: readonly number[]) => void,
  starts: readonly number[] = strides.map(() => 0),
): void {
  const total = elementCount(shape);
  const position = new Array<number>(shape.length).fill(0);
  const sources = [...starts];
  for (let out = 0; out < total; out++) {
    visit(out, sources);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis]!++;
      const wraps = position[axis] === shape[axis];
      for (let s = 0; s < sources.length; s++) {
        sources[s]! += strides[s]![axis]! * (wraps ? 1 - shape[axis]! : 1);
      }
      if (!wraps) break;
      position[axis] = 0;
    }
  }
}

/** Copies `source`, read with the given strides from `start`, into a new dense array of `shape`. */
export function ndView(
  source: NdArray,
  shape: readonly number[],
  strides: readonly number[],
  start = 0,
): NdArray {
  const result = ndZeros(shape);
  forEachIndex(
    shape,
    [strides],
    (out, [from]) => {
      result.data[out] = source.data[from!]!;
    },
    [start],
  );
  return result;
}

/** Permutes axes: axis `i` of the result is axis `perm[i]` of the source. */
export function ndTranspose(source: NdArray, perm: readonly number[]): NdArray {
  const strides = stridesOf(source.shape);
  return ndView(
    source,
    perm.map((axis) => source.shape[axis]!),
    perm.map((axis) => strides[axis]!),
  );
}

/** Expands to `shape` by broadcasting. */
export function ndExpand(source: NdArray, shape: readonly number[]): NdArray {
  return ndView(source, shape, broadcastStrides(source.shape, shape));
}

/** `fn` over broadcast inputs. */
export function ndMap(fn: (...values: number[]) => number, ...inputs: readonly NdArray[]): NdArray {
  const shape = broadcastConcrete(...inputs.map((input) => input.shape));
  const result = ndZeros(shape);
  const strides = inputs.map((input) => broadcastStrides(input.shape, shape));
  forEachIndex(shape, strides, (out, from) => {
    result.data[out] = fn(...inputs.map((input, i) => input.data[from[i]!]!));
  });
  return result;
}

/** Splits an array into rows along its last axis, maps each, and joins the results. */
export function ndMapRows(source: NdArray, fn: (row: Float64Array) => Float64Array): NdArray {
  const width = source.shape.at(-1) ?? 1;
  const rows: Float64Array[] = [];
  for (let start = 0; start < source.data.length; start += width) {
    rows.push(fn(source.data.subarray(start, start + width)));
  }
  const outWidth = rows[0]?.length ?? width;
  const data = new Float64Array(rows.length * outWidth);
  for (const [index, row] of rows.entries()) data.set(row, index * outWidth);
  return { shape: [...source.shape.slice(0, -1), outWidth], data };
}

/** Batched matrix product of `[…, M, K]` and `[…, K, N]` with broadcast batch axes. */
export function ndMatMul(a: NdArray, b: NdArray): NdArray {
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape.at(-1)!;
  const batch = broadcastConcrete(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const result = ndZeros([...batch, m, n]);
  const left = ndExpand(a, [...batch, m, k]).data;
  const right = ndExpand(b, [...batch, k, n]).data;
  const batches = elementCount(batch);
  for (let i = 0; i < batches; i++) {
    for (let row = 0; row < m; row++) {
      for (let inner = 0; inner < k; inner++) {
        const value = left[(i * m + row) * k + inner]!;
        const from = (i * k + inner) * n;
        const to = (i * m + row) * n;
        for (let column = 0; column < n; column++) {
          result.data[to + column]! += value * right[from + column]!;
        }
      }
    }
  }
  return result;
}

/** Swaps the last two axes. */
export function ndSwapLast(source: NdArray): NdArray {
  const perm = source.shape.map((_, axis) => axis);
  [perm[perm.length - 1], perm[perm.length - 2]] = [perm.length - 2, perm.length - 1];
  return ndTranspose(source, perm);
}
