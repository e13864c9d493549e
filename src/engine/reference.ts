import { join } from "node:path";
import { isExternal, isFloat, PtuningError, type Tensor, type TensorMap } from "../core/index.ts";
import { openFile, readTensor } from "../files/index.ts";
import { fromNdArray, type Graph, type NdArray, specOf, toNdArray, type Value } from "../graph/index.ts";
import type { Engine, Session } from "./engine.ts";

/**
 * The oracle: runs the float64 definitions of the op table one node at a time. Slow, exact, and without any
 * native code.
 */
export function referenceEngine(): Engine {
  return {
    name: "reference (float64)",
    compile: async (graph) => compile(graph),
    async close() {},
  };
}

async function compile(graph: Graph): Promise<Session> {
  const frozen = new Map<Value, NdArray>();
  for (const [value, source] of graph.initializers) {
    if (!isExternal(source)) {
      frozen.set(value, toNdArray(source));
      continue;
    }
    const file = await openFile(join(source.folder, source.file));
    frozen.set(value, toNdArray(await readTensor(file, source)));
    await file.close();
  }
  let bound: TensorMap = {};
  return {
    async bind(feeds) {
      bound = { ...bound, ...feeds };
    },
    run: async (feeds) => run(graph, frozen, { ...bound, ...feeds }),
    async release() {
      frozen.clear();
    },
  };
}

function run(graph: Graph, frozen: ReadonlyMap<Value, NdArray>, feeds: TensorMap): TensorMap {
  const values = new Map(frozen);
  for (const input of graph.inputs) {
    const feed = feeds[input.name];
    if (feed === undefined) {
      throw new PtuningError("ENGINE_FAILED", `input "${input.name}": expected a tensor, got none.`);
    }
    values.set(input, toNdArray(feed));
  }
  for (const node of graph.nodes) {
    const results = specOf(node.op).reference({
      inputs: node.inputs.map((input) => input && values.get(input)),
      inputTypes: node.inputs.map((input) => input?.dtype),
      attributes: node.attributes,
      outputCount: node.outputs.length,
    });
    for (const [i, output] of node.outputs.entries()) values.set(output, results[i]!);
  }
  const outputs: Record<string, Tensor> = {};
  for (const [name, value] of graph.outputs) {
    outputs[name] = fromNdArray(values.get(value)!, isFloat(value.dtype) ? "float64" : value.dtype);
  }
  return outputs;
}
