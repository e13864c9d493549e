import {
  allocate,
  elementCount,
  isExternal,
  isFloat,
  type Tensor,
  type TensorSource,
  toFloat32,
} from "../../core/index.ts";
import type { Graph, Node, Value } from "../graph.ts";
import type { NdArray } from "../ndarray.ts";
import { specOf } from "../table.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Larger results are left to the runtime: folding is for shapes and small constants. */
const maxFoldedElements = 4096;

/**
 * Constant folding: nodes whose inputs are initializers in memory, and integer vectors whose contents shape
 * inference knows, become initializers. Weights that lie in a file are never read.
 */
export function foldConstants(graph: Graph): Graph {
  // Known numbers that are computed from data all the same, so as to wait for it: control edges stay.
  const waiting = new Set<Value>();
  return rewriteGraph(graph, (node, initializers) => {
    if (waitsForData(node) || node.inputs.some((input) => input && waiting.has(input))) {
      for (const output of node.outputs) if (output.elements) waiting.add(output);
      return undefined;
    }
    const results = knownIntegers(node) ?? evaluate(node, initializers);
    return results?.map((result, i) => {
      const { name, dtype, shape, elements } = node.outputs[i]!;
      const value: Value = { name, dtype, shape, ...(elements && { elements }) };
      initializers.set(value, {
        ...fromNdArray(result, dtype),
        ...(isFloat(dtype) && { exact: result.data }),
      });
      return value;
    });
  });
}

const waitsForData = ({ op, outputs }: Node): boolean => op === "ReduceSum" && !!outputs[0]!.elements;

function knownIntegers(node: Node): NdArray[] | undefined {
  if (!node.outputs.every(({ elements }) => elements?.every((e) => typeof e === "number"))) return undefined;
  return node.outputs.map(({ shape, elements }) => ({
    shape: shape as number[],
    data: Float64Array.from(elements as number[]),
  }));
}

function evaluate(
  node: Node,
  initializers: ReadonlyMap<Value, TensorSource>,
): readonly NdArray[] | undefined {
  const sources = node.inputs.map((input) => input && initializers.get(input));
  if (node.inputs.some((input, i) => input && (!sources[i] || isExternal(sources[i])))) return undefined;
  const size = node.outputs.reduce((sum, { shape }) => sum + elementCount(shape as number[]), 0);
  if (!(size <= maxFoldedElements)) return undefined;
  return specOf(node.op).reference({
    inputs: (sources as (Tensor | undefined)[]).map((source) => source && toNdArray(source)),
    inputTypes: node.inputs.map((input) => input?.dtype),
    attributes: node.attributes,
    outputCount: node.outputs.length,
  });
}

/** Host tensor → reference array. */
export function toNdArray({ dtype, shape, data, exact }: Tensor): NdArray {
  // Host tensors hold floats of 16 bits as their bits.
  const isHalf = dtype === "float16" || dtype === "bfloat16";
  const values = isHalf ? toFloat32({ dtype, shape, data }).data : data;
  return { shape, data: exact ?? Float64Array.from(values as ArrayLike<number | bigint>, Number) };
}

/** Reference array → host tensor of `dtype`. */
export function fromNdArray({ shape, data }: NdArray, dtype: Tensor["dtype"]): Tensor {
  const target = allocate(dtype, data.length);
  if (target instanceof BigInt64Array)
    data.forEach((value, i) => {
      target[i] = BigInt(value);
    });
  else target.set(data);
  return { dtype, shape, data: target };
}
