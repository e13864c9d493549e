import {
  addDims,
  type Dim,
  divideDims,
  elementCount,
  productOfDims,
  subtractDims,
} from "../../core/index.ts";
import { type NdArray, ndExpand, ndTranspose, ndView, ndZeros, stridesOf } from "../ndarray.ts";
import type { NoAttributes, OpSpec } from "../op.ts";
import { axisFromFront, broadcastShapes, failGraph, knownIntegers, required, shapeText } from "../op.ts";
import type { AxisAttributes } from "./normalize.ts";

/** A vector's contents are tracked up to this many elements: shapes, axes, bounds. */
const maxTrackedElements = 64;

export interface ShapeAttributes {
  readonly start?: number;
  readonly end?: number;
}

export const Shape: OpSpec<ShapeAttributes> = {
  domain: "",
  attributes: { start: "int", end: "int" },
  arity: [1, 1],
  infer({ inputs, attributes, name }) {
    const elements = required(inputs, 0, name).shape.slice(attributes.start, attributes.end);
    return [{ dtype: "int64", shape: [elements.length], elements }];
  },
  reference({ inputs, attributes }) {
    const lengths = required(inputs, 0).shape.slice(attributes.start, attributes.end);
    return [{ shape: [lengths.length], data: Float64Array.from(lengths) }];
  },
};

/** Reshape with ONNX's 0 (copy) and −1 (infer); the target is the second input. */
export const Reshape: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 2],
  infer({ inputs, name }) {
    const { dtype, shape, elements } = required(inputs, 0, name);
    const target = required(inputs, 1, name).elements;
    if (target === undefined) failGraph(name, "expected a target shape with known elements.");
    const copied = target.map((dim, axis) => (dim === 0 ? shape[axis]! : dim));
    const total = productOfDims(shape);
    const given = productOfDims(copied.filter((dim) => dim !== -1));
    const inferred = copied.includes(-1) ? divideDims(total, given) : 1;
    const fits = copied.includes(-1) ? inferred !== undefined : given === total;
    // A length that is named after a node ("?…") is known only at run time: the target decides.
    if (!fits && !String(total).includes("?")) {
      failGraph(name, `cannot reshape ${shapeText(shape)} to ${shapeText(target)}.`);
    }
    const result = copied.map((dim) => (dim === -1 ? (inferred ?? `?${name}`) : dim));
    return [{ dtype, shape: result, ...(elements && result.length <= 1 && { elements }) }];
  },
  reference({ inputs }) {
    const x = required(inputs, 0);
    const target = [...required(inputs, 1).data].map((length, axis) => length || x.shape[axis]!);
    const given = elementCount(target.filter((length) => length !== -1));
    return [{ shape: target.map((l) => (l === -1 ? x.data.length / given : l)), data: x.data }];
  },
};

export interface TransposeAttributes {
  readonly perm: readonly number[];
}

export const Transpose: OpSpec<TransposeAttributes> = {
  domain: "",
  attributes: { perm: "ints" },
  arity: [1, 1],
  infer({ inputs, attributes: { perm }, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    if ([...perm].sort((a, b) => a - b).some((axis, i) => axis !== i) || perm.length !== shape.length) {
      failGraph(name, `expected a permutation of ${shape.length} axes, got [${perm.join(", ")}].`);
    }
    return [{ dtype, shape: perm.map((axis) => shape[axis]!) }];
  },
  reference: ({ inputs, attributes }) => [ndTranspose(required(inputs, 0), attributes.perm)],
};

/** Broadcasts to the shape given as second input. */
export const Expand: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 2],
  infer({ inputs, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    const target = required(inputs, 1, name).elements;
    if (target === undefined) failGraph(name, "expected a target shape with known elements.");
    return [{ dtype, shape: broadcastShapes(name, shape, target) }];
  },
  reference({ inputs }) {
    const x = required(inputs, 0);
    const target = [...required(inputs, 1).data];
    const lead = target.length - x.shape.length;
    return [
      ndExpand(
        x,
        target.map((length, axis) => (length === 1 ? (x.shape[axis - lead] ?? 1) : length)),
      ),
    ];
  },
};

export const Concat: OpSpec<AxisAttributes> = {
  domain: "",
  attributes: { axis: "int" },
  arity: [1, Number.POSITIVE_INFINITY],
  infer({ inputs, attributes, name }) {
    const values = inputs.map((_, i) => required(inputs, i, name));
    const [first] = values as [(typeof values)[0]];
    const axis = axisFromFront(attributes.axis, first.shape.length, name);
    let total: Dim = 0;
    for (const { shape } of values) {
      if (shape.length !== first.shape.length || shape.some((d, i) => i !== axis && d !== first.shape[i])) {
        failGraph(name, `cannot join ${values.map((v) => shapeText(v.shape)).join(", ")} on axis ${axis}.`);
      }
      total = addDims(total, shape[axis]!);
    }
    const lists = values.map((value) => value.elements);
    const elements = lists.every((list) => list !== undefined) ? lists.flat() : undefined;
    const tracked = elements !== undefined && elements.length <= maxTrackedElements;
    const shape = first.shape.map((dim, i) => (i === axis ? total : dim));
    return [{ dtype: first.dtype, shape, ...(tracked && { elements }) }];
  },
  reference({ inputs, attributes }) {
    const arrays = inputs.map((_, i) => required(inputs, i));
    const rank = arrays[0]!.shape.length;
    const axis = axisFromFront(attributes.axis, rank, "Concat");
    const length = arrays.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    const result = ndZeros(arrays[0]!.shape.map((l, i) => (i === axis ? length : l)));
    let start = 0;
    for (const array of arrays) {
      writeSlice(result, array, axis, start);
      start += array.shape[axis]!;
    }
    return [result];
  },
};

/** Writes `part` into `whole` at position `start` of `axis`. */
function writeSlice(whole: NdArray, part: NdArray, axis: number, start: number): void {
  const inner = elementCount(part.shape.slice(axis));
  const outerStride = elementCount(whole.shape.slice(axis));
  const offset = start * stridesOf(whole.shape)[axis]!;
  for (let i = 0; i * inner < part.data.length; i++) {
    whole.data.set(part.data.subarray(i * inner, (i + 1) * inner), offset + i * outerStride);
  }
}

function readSlice(whole: NdArray, axis: number, start: number, length: number): NdArray {
  const strides = stridesOf(whole.shape);
  const shape = whole.shape.map((l, i) => (i === axis ? length : l));
  return ndView(whole, shape, strides, start * strides[axis]!);
}

/** Length of `start:end` on an axis, with negative and overlong bounds as in Python. */
function sliceLength(length: Dim, start: Dim, end: Dim): Dim | undefined {
  if (typeof start === "number" && typeof end === "number" && typeof length === "number") {
    const from = Math.min(start < 0 ? start + length : start, length);
    const to = Math.min(end < 0 ? end + length : end, length);
    return Math.max(to - from, 0);
  }
  if (typeof start === "number" && start < 0) return end === length ? -start : undefined;
  if (typeof end === "number" && end > 2 ** 31) return subtractDims(length, start);
  if (typeof end === "number" && end < 0) return undefined;
  return subtractDims(end, start);
}

/** Slice with inputs data, starts, ends, axes; steps of 1. A bound that is not known names a new length. */
export const Slice: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [4, 4],
  infer({ inputs, name }) {
    const { dtype, shape, elements } = required(inputs, 0, name);
    const [starts, ends] = [required(inputs, 1, name).elements, required(inputs, 2, name).elements];
    const axes = knownIntegers(required(inputs, 3, name), name);
    const result = [...shape];
    for (const [i, given] of axes.entries()) {
      const axis = axisFromFront(given, shape.length, name);
      const length = starts && ends ? sliceLength(shape[axis]!, starts[i]!, ends[i]!) : undefined;
      result[axis] = length ?? `?${name}`;
    }
    const bounds = [starts?.[0], ends?.[0]].map(Number);
    const tracked = elements && bounds.every(Number.isInteger) && elements.slice(bounds[0], bounds[1]);
    return [{ dtype, shape: result, ...(tracked && { elements: tracked }) }];
  },
  reference({ inputs }) {
    const [starts, ends, axes] = [1, 2, 3].map((i) => required(inputs, i).data) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    let x = required(inputs, 0);
    for (const [i, given] of axes.entries()) {
      const axis = axisFromFront(given, x.shape.length, "Slice");
      const length = x.shape[axis]!;
      const start = Math.min(starts[i]! < 0 ? starts[i]! + length : starts[i]!, length);
      x = readSlice(x, axis, start, sliceLength(length, starts[i]!, ends[i]!) as number);
    }
    return [x];
  },
};

/** Splits along `axis` into the lengths given as second input. */
export const Split: OpSpec<AxisAttributes> = {
  domain: "",
  attributes: { axis: "int" },
  arity: [2, 2],
  infer({ inputs, attributes, outputCount, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    const axis = axisFromFront(attributes.axis, shape.length, name);
    const lengths = required(inputs, 1, name).elements;
    if (lengths === undefined || lengths.length !== outputCount) {
      failGraph(name, `expected ${outputCount} known lengths, got ${lengths?.length ?? "none"}.`);
    }
    const total = lengths.reduce<Dim>(addDims, 0);
    if (total !== shape[axis]) failGraph(name, `lengths add up to ${total}, the axis has ${shape[axis]}.`);
    return lengths.map((length) => ({ dtype, shape: shape.map((dim, i) => (i === axis ? length : dim)) }));
  },
  reference({ inputs, attributes }) {
    const x = required(inputs, 0);
    const axis = axisFromFront(attributes.axis, x.shape.length, "Split");
    let start = 0;
    return [...required(inputs, 1).data].map((length) => {
      const part = readSlice(x, axis, start, length);
      start += length;
      return part;
    });
  },
};

/** Zero padding; the second input holds the lengths before and after on every axis. */
export const Pad: OpSpec<NoAttributes> = {
  domain: "",
  attributes: {},
  arity: [2, 2],
  infer({ inputs, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    const pads = required(inputs, 1, name).elements;
    if (pads === undefined || pads.length !== 2 * shape.length) {
      failGraph(name, `expected ${2 * shape.length} known pads, got ${pads?.length ?? "none"}.`);
    }
    return [
      { dtype, shape: shape.map((dim, i) => addDims(addDims(dim, pads[i]!), pads[i + shape.length]!)) },
    ];
  },
  reference({ inputs }) {
    const pads = required(inputs, 1).data;
    let x = required(inputs, 0);
    const rank = x.shape.length;
    for (let axis = 0; axis < rank; axis++) {
      const [before, after] = [pads[axis]!, pads[axis + rank]!];
      const padded = ndZeros(x.shape.map((l, i) => (i === axis ? l + before + after : l)));
      writeSlice(padded, x, axis, before);
      x = padded;
    }
    return [x];
  },
};

/** Picks slices of the first input along `axis` by the integers of the second. */
export const Gather: OpSpec<AxisAttributes> = {
  domain: "",
  attributes: { axis: "int" },
  arity: [2, 2],
  infer({ inputs, attributes, name }) {
    const { dtype, shape, elements } = required(inputs, 0, name);
    const indices = required(inputs, 1, name);
    const axis = axisFromFront(attributes.axis, shape.length, name);
    const picked = elements && indices.elements?.map((i) => elements[Number(i)]!);
    return [
      {
        dtype,
        shape: [...shape.slice(0, axis), ...indices.shape, ...shape.slice(axis + 1)],
        ...(picked && { elements: picked }),
      },
    ];
  },
  reference({ inputs, attributes }) {
    const x = required(inputs, 0);
    const indices = required(inputs, 1);
    const axis = axisFromFront(attributes.axis, x.shape.length, "Gather");
    const [outer, inner] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
    const width = elementCount(inner);
    const length = x.shape[axis]!;
    const result = ndZeros([...outer, ...indices.shape, ...inner]);
    let to = 0;
    for (let o = 0; o < elementCount(outer); o++) {
      for (const index of indices.data) {
        const row = index < 0 ? index + length : index;
        const from = (o * length + row) * width;
        result.data.set(x.data.subarray(from, from + width), to);
        to += width;
      }
    }
    return [result];
  },
};

export interface ScatterAttributes {
  readonly reduction: "add";
}

/** Adds rows of the third input to the rows of the first that the second, `[…, 1]`, names. */
export const ScatterND: OpSpec<ScatterAttributes> = {
  domain: "",
  attributes: { reduction: "string" },
  arity: [3, 3],
  infer({ inputs, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    const indices = required(inputs, 1, name).shape;
    const updates = required(inputs, 2, name).shape;
    const expected = [...indices.slice(0, -1), ...shape.slice(1)];
    if (indices.at(-1) !== 1 || shapeText(updates) !== shapeText(expected)) {
      failGraph(name, `expected updates of shape ${shapeText(expected)}, got ${shapeText(updates)}.`);
    }
    return [{ dtype, shape }];
  },
  reference({ inputs }) {
    const x = required(inputs, 0);
    const updates = required(inputs, 2).data;
    const result = { shape: x.shape, data: x.data.slice() };
    const width = elementCount(x.shape.slice(1));
    for (const [i, index] of required(inputs, 1).data.entries()) {
      const row = index < 0 ? index + x.shape[0]! : index;
      for (let j = 0; j < width; j++) result.data[row * width + j]! += updates[i * width + j]!;
    }
    return [result];
  },
};
