import { join } from "node:path";
import { isExternal, isFloat, PtuningError, type Tensor, type TensorMap } from "../core/index.ts";
import { openFile, readTensor } from "../files/index.ts";
import { fromNdArray, type Graph, type NdArray, specOf, toNdArray, type Value } from "../graph/index.ts";
import type { Engine, Held, Session } from "./engine.ts";

/**
 * The oracle: runs the float64 definitions of the op table one node at a time. Slow, exact, and without any
 * native code.
 */
export function referenceEngine(): Engine {
  return {
    name: "reference (float64)",
    compile: async (graph) => compile(graph),
    async hold(tensors) {
      const held = new HeldTensors(tensors);
      return held;
    },
    async close() {},
  };
}

/** Held tensors of this engine are tensors in the same memory, float64. */
class HeldTensors implements Held {
  readonly tensors: Map<string, Tensor>;

  constructor(tensors: TensorMap) {
    this.tensors = new Map(
      Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
        name,
        isFloat(dtype)
          ? { dtype: "float64", shape, data: Float64Array.from(data as Float32Array) }
          : { dtype, shape, data },
      ]),
    );
  }

  async read(): Promise<TensorMap> {
    return structuredClone(Object.fromEntries(this.tensors));
  }

  async release(): Promise<void> {
    this.tensors.clear();
  }
}

function tensorsOf(held: Held): Map<string, Tensor> {
  if (held instanceof HeldTensors) return held.tensors;
  throw new PtuningError("ENGINE_FAILED", "the tensors are held by another engine.");
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
  let boundHeld: Map<string, Tensor> | undefined;
  const runWith = (feeds: TensorMap): TensorMap =>
    run(graph, frozen, { ...bound, ...Object.fromEntries(boundHeld ?? []), ...feeds });
  return {
    async bind(feeds) {
      if (feeds instanceof HeldTensors) boundHeld = feeds.tensors;
      else bound = { ...bound, ...(feeds as TensorMap) };
    },
    async run(feeds, keep) {
      const outputs = Object.entries(runWith(feeds));
      const kept = keep?.names ?? {};
      for (const [name, tensor] of outputs)
        if (kept[name] !== undefined) tensorsOf(keep!.held).set(kept[name], tensor);
      return Object.fromEntries(outputs.filter(([name]) => kept[name] === undefined));
    },
    async sweep({ names, vectors, rewrites, feeds }) {
      const sums: Record<string, number> = {};
      for (const name of names) {
        const flat = Object.entries(vectors).map(([input, held]): [string, Tensor] => {
          const { dtype, data } = tensorsOf(held).get(name)!;
          return [input, { dtype, shape: [data.length], data }];
        });
        for (const [output, { data }] of Object.entries(runWith({ ...feeds, ...Object.fromEntries(flat) }))) {
          const target = rewrites[output];
          if (target === undefined) sums[output] = (sums[output] ?? 0) + Number(data[0]);
          else (tensorsOf(vectors[target]!).get(name)!.data as Float64Array).set(data as Float64Array);
        }
      }
      return sums;
    },
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
