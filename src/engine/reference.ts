import {
  isExternal,
  isFloat,
  PtuningError,
  type Tensor,
  type TensorMap,
  withAllOpen,
} from "../core/index.ts";
import { readTensor } from "../files/portable.ts";
import {
  everyOp,
  fromNdArray,
  type Graph,
  type NdArray,
  specOf,
  toNdArray,
  type Value,
} from "../graph/index.ts";
import { type Engine, type Held, isHeld, type Session } from "./engine.ts";

/**
 * The oracle: runs the float64 definitions of the op table one node at a time. Slow, exact, and without any
 * native code.
 */
export function referenceEngine(): Engine {
  let isClosed = false;
  const open = (): void => {
    if (isClosed) throw failed("the engine was closed.");
  };
  const close = async (): Promise<void> => {
    isClosed = true;
  };
  return {
    name: "reference (float64)",
    facts: { device: "cpu", ops: everyOp, int8: { bits: 8, isFast: false } },
    async compile(graph) {
      open();
      return compile(graph, open);
    },
    async hold(tensors) {
      open();
      return new HeldTensors(tensors, open);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const failed = (message: string): PtuningError => new PtuningError("ENGINE_FAILED", message);

/** Held tensors of this engine are tensors in the same memory, float64. */
class HeldTensors implements Held {
  readonly #open: () => void;
  #tensors: Map<string, Tensor> | undefined;

  /** @param open throws if the engine was closed */
  constructor(tensors: TensorMap, open: () => void) {
    this.#open = open;
    this.#tensors = new Map(
      Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
        name,
        isFloat(dtype)
          ? { dtype: "float64", shape, data: Float64Array.from(data as Float32Array) }
          : { dtype, shape, data },
      ]),
    );
  }

  get tensors(): Map<string, Tensor> {
    this.#open();
    if (this.#tensors === undefined) throw failed("the held tensors were released.");
    return this.#tensors;
  }

  async read(names: readonly string[] = [...this.tensors.keys()]): Promise<TensorMap> {
    return Object.fromEntries(
      names.map((name) => {
        return [name, structuredClone(this.#tensor(name))];
      }),
    );
  }

  async write(name: string, offset: number, data: Float32Array): Promise<void> {
    const { data: numbers } = this.#tensor(name);
    if (offset + data.length > numbers.length)
      throw failed(`held tensor "${name}": offset is out of bounds.`);
    (numbers as Float64Array).set(data, offset);
  }

  async grow(name: string, length: number): Promise<void> {
    const { dtype, shape, data } = this.#tensor(name);
    const grown = [length, ...shape.slice(1)];
    const numbers = new Float64Array(grown.reduce((product, size) => product * size, 1));
    numbers.set(data as Float64Array);
    this.tensors.set(name, { dtype, shape: grown, data: numbers });
  }

  #tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw failed(`held tensor "${name}": expected it, got none.`);
    return tensor;
  }

  async release(): Promise<void> {
    this.#tensors = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

function tensorsOf(held: Held): Map<string, Tensor> {
  if (held instanceof HeldTensors) return held.tensors;
  throw failed("the tensors are held by another engine.");
}

async function frozenArrays({ initializers }: Graph): Promise<Map<Value, NdArray>> {
  const sources = [...initializers.values()].filter(isExternal).map(({ source }) => source);
  return withAllOpen(sources, async (openOf) => {
    const frozen = new Map<Value, NdArray>();
    for (const [value, tensor] of initializers) {
      const read = isExternal(tensor) ? await readTensor(openOf(tensor.source), tensor) : tensor;
      frozen.set(value, toNdArray(read));
    }
    return frozen;
  });
}

async function compile(graph: Graph, open: () => void): Promise<Session> {
  const frozen = await frozenArrays(graph);
  let bound: TensorMap = {};
  let boundHeld: HeldTensors | undefined;
  let isReleased = false;
  const expectOpen = (): void => {
    open();
    if (isReleased) throw failed("the session was released.");
  };
  const runWith = (feeds: TensorMap): TensorMap => {
    expectOpen();
    const held = boundHeld && Object.fromEntries(boundHeld.tensors);
    return run(graph, frozen, { ...bound, ...held, ...feeds });
  };
  const release = async (): Promise<void> => {
    isReleased = true;
    frozen.clear();
    [bound, boundHeld] = [{}, undefined];
  };
  return {
    async bind(feeds) {
      expectOpen();
      if (!isHeld(feeds)) bound = { ...bound, ...feeds };
      else if (tensorsOf(feeds)) boundHeld = feeds as HeldTensors;
    },
    async run(feeds, keep) {
      const kept = keep && { set: tensorsOf(keep.held), names: keep.names };
      const outputs = Object.entries(runWith(feeds));
      for (const [name, tensor] of outputs) {
        const keptName = kept?.names[name];
        if (keptName !== undefined) kept!.set.set(keptName, tensor);
      }
      return Object.fromEntries(outputs.filter(([name]) => kept?.names[name] === undefined));
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
    release,
    [Symbol.asyncDispose]: release,
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
