import { elementCount } from "../../core/index.ts";
import type { NdArray } from "../ndarray.ts";
import { ndMap, ndMapRows, ndTranspose } from "../ndarray.ts";
import type { OpSpec } from "../op.ts";
import { axisFromFront, failGraph, required, shapeText } from "../op.ts";

export interface AxisAttributes {
  readonly axis: number;
}

/** Applies `fn` to each slice along `axis`. */
function alongAxis(source: NdArray, axis: number, fn: (row: Float64Array) => Float64Array): NdArray {
  const rank = source.shape.length;
  const perm = [...source.shape.keys()];
  const at = axis < 0 ? axis + rank : axis;
  [perm[at], perm[rank - 1]] = [perm[rank - 1]!, perm[at]!];
  return ndTranspose(ndMapRows(ndTranspose(source, perm), fn), perm);
}

function rowwise(fn: (row: Float64Array) => Float64Array): OpSpec<AxisAttributes> {
  return {
    domain: "",
    attributes: { axis: "int" },
    arity: [1, 1],
    infer({ inputs, attributes, name }) {
      const { dtype, shape } = required(inputs, 0, name);
      axisFromFront(attributes.axis, shape.length, name);
      return [{ dtype, shape }];
    },
    reference: ({ inputs, attributes }) => [alongAxis(required(inputs, 0), attributes.axis, fn)],
  };
}

function logSumExp(row: Float64Array): number {
  const max = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  return max + Math.log(row.reduce((sum, x) => sum + Math.exp(x - max), 0));
}

export const Softmax: OpSpec<AxisAttributes> = rowwise((row) => {
  const total = logSumExp(row);
  return row.map((x) => Math.exp(x - total));
});

export const LogSoftmax: OpSpec<AxisAttributes> = rowwise((row) => {
  const total = logSumExp(row);
  return row.map((x) => x - total);
});

export interface LayerNormalizationAttributes {
  readonly axis: -1;
  readonly epsilon: number;
}

/** y = (x − mean) · invStdDev · scale + bias over the last axis; outputs y [, mean [, invStdDev]]. */
export const LayerNormalization: OpSpec<LayerNormalizationAttributes> = {
  domain: "",
  attributes: { axis: "int", epsilon: "float" },
  arity: [2, 3],
  infer({ inputs, outputCount, name }) {
    const { dtype, shape } = required(inputs, 0, name);
    const width = shape.at(-1);
    for (const vector of inputs.slice(1)) {
      if (vector && (vector.shape.length !== 1 || vector.shape[0] !== width)) {
        failGraph(name, `expected scale and bias of shape [${width}], got ${shapeText(vector.shape)}.`);
      }
    }
    const statistic = { dtype, shape: [...shape.slice(0, -1), 1] };
    return [{ dtype, shape }, statistic, statistic].slice(0, outputCount);
  },
  reference({ inputs, attributes, outputCount }) {
    const x = required(inputs, 0);
    const scale = required(inputs, 1);
    const bias = inputs[2];
    const width = x.shape.at(-1)!;
    const mean = ndMapRows(x, (row) => Float64Array.of(row.reduce((sum, v) => sum + v, 0) / width));
    const centered = ndMap((v, m) => v - m, x, mean);
    const inverse = ndMapRows(centered, (row) =>
      Float64Array.of(1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / width + attributes.epsilon)),
    );
    const scaled = ndMap((v, i, s) => v * i * s, centered, inverse, scale);
    return [bias ? ndMap((v, c) => v + c, scaled, bias) : scaled, mean, inverse].slice(0, outputCount);
  },
};

export interface ReduceAttributes {
  readonly keepdims: 0 | 1;
}

function reduce(
  fn: (row: Float64Array) => number,
  { emptyMeansAll }: { emptyMeansAll: boolean },
): OpSpec<ReduceAttributes> {
  const axesOf = (elements: readonly number[] | undefined, rank: number, name: string): Set<number> =>
    elements === undefined || (elements.length === 0 && emptyMeansAll)
      ? new Set(Array.from({ length: rank }, (_, axis) => axis))
      : new Set(elements.map((axis) => axisFromFront(axis, rank, name)));
  return {
    domain: "",
    attributes: { keepdims: "int" },
    arity: [1, 2],
    infer({ inputs, attributes, name }) {
      const { dtype, shape } = required(inputs, 0, name);
      const axes = axesOf(inputs[1] && (inputs[1].elements as number[] | undefined), shape.length, name);
      const kept = attributes.keepdims
        ? shape.map((dim, axis) => (axes.has(axis) ? 1 : dim))
        : shape.filter((_, axis) => !axes.has(axis));
      // A sum over nothing is known: control edges (`GraphBuilder.after`) add it to shapes.
      const isEmptySum = fn === sum && kept.length === 0 && shape.includes(0);
      return [{ dtype, shape: kept, ...(isEmptySum && { elements: [0] }) }];
    },
    reference({ inputs, attributes }) {
      const x = required(inputs, 0);
      const axes = axesOf(inputs[1] && [...inputs[1].data], x.shape.length, "reduce");
      const kept = [...x.shape.keys()].filter((axis) => !axes.has(axis));
      const moved = ndTranspose(x, [...kept, ...axes]);
      const width = elementCount([...axes].map((axis) => x.shape[axis]!));
      const outShape = attributes.keepdims
        ? x.shape.map((length, axis) => (axes.has(axis) ? 1 : length))
        : kept.map((axis) => x.shape[axis]!);
      const data = Float64Array.from({ length: elementCount(outShape) }, (_, i) =>
        fn(moved.data.subarray(i * width, (i + 1) * width)),
      );
      return [{ shape: outShape, data }];
    },
  };
}

const sum = (row: Float64Array): number => row.reduce((total, x) => total + x, 0);

export const ReduceSum: OpSpec<ReduceAttributes> = reduce(sum, { emptyMeansAll: true });
export const ReduceMean: OpSpec<ReduceAttributes> = reduce((row) => sum(row) / row.length, {
  emptyMeansAll: true,
});
export const ReduceMax: OpSpec<ReduceAttributes> = reduce(
  (row) => row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
  { emptyMeansAll: true },
);
