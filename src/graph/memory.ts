import { byteSize, type DimBindings, evaluateDim, productOfDims } from "../core/index.ts";
import type { Graph, Node, Value } from "./graph.ts";
import type { OpName } from "./table.ts";

/** What a graph holds at its fullest moment. */
export interface MemoryPlan {
  /** Bytes of all computed tensors that exist at once, at most; weights and inputs not counted. */
  readonly peakBytes: number;
  /** Name of the node that is running then. */
  readonly peakNode: string;
  /** The tensors that exist then, largest first. */
  readonly live: readonly { readonly name: string; readonly bytes: number }[];
}

/** Ops whose output shares the memory of their first input. */
const aliases: ReadonlySet<OpName> = new Set<OpName>(["Reshape"]);

/** Ops that write over an input of the same size which nobody else needs. */
const inPlace: ReadonlySet<OpName> = new Set<OpName>([
  ...([
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Neg",
    "Exp",
    "Log",
    "Tanh",
    "Sqrt",
    "Reciprocal",
    "Relu",
    "Erf",
  ] as const),
  ...(["Softmax", "LogSoftmax"] as const),
]);

/**
 * Follows a graph node by node, in the order in which ONNX Runtime runs it, and adds up what exists. Every tensor
 * exists from the node that makes it to the last one that reads it.
 *
 * @param sizes lengths of the named dims
 */
export function planMemory(graph: Graph, sizes: DimBindings): MemoryPlan {
  const nodes = executionOrder(graph);
  const owners = new Map<Value, Value>();
  const owner = (value: Value): Value => owners.get(value) ?? value;
  for (const { op, inputs, outputs } of nodes) {
    if (aliases.has(op)) owners.set(outputs[0]!, owner(inputs[0]!));
  }
  const lastUse = new Map<Value, number>();
  for (const [i, { inputs, outputs }] of nodes.entries()) {
    for (const value of [...inputs, ...outputs]) if (value) lastUse.set(owner(value), i);
  }
  for (const value of graph.outputs.values()) lastUse.set(owner(value), nodes.length);

  const live = new Map<Value, number>();
  let [bytes, peakBytes, peakAt] = [0, 0, 0];
  let peakLive: MemoryPlan["live"] = [];
  for (const [i, { op, inputs, outputs }] of nodes.entries()) {
    const ends = (value: Value): boolean => live.has(value) && lastUse.get(value) === i;
    for (const output of outputs) {
      if (owner(output) !== output) continue;
      const size = bytesOf(output, sizes);
      const replaced =
        inPlace.has(op) &&
        inputs.map((input) => input && owner(input)).find((v) => v && ends(v) && live.get(v) === size);
      if (replaced) {
        live.delete(replaced);
        bytes -= size;
      }
      live.set(output, size);
      bytes += size;
    }
    if (bytes > peakBytes) {
      [peakBytes, peakAt] = [bytes, i];
      peakLive = [...live].map(([{ name }, size]) => ({ name, bytes: size }));
    }
    for (const value of [...inputs, ...outputs]) {
      const held = value && owner(value);
      if (!held || !ends(held)) continue;
      bytes -= live.get(held)!;
      live.delete(held);
    }
  }
  return {
    peakBytes,
    peakNode: nodes[peakAt]?.name ?? "",
    live: [...peakLive].sort((a, b) => b.bytes - a.bytes),
  };
}

function bytesOf({ dtype, shape }: Value, sizes: DimBindings): number {
  const elements = evaluateDim(productOfDims(shape), sizes);
  // A length that only the run knows: masks are such, and they are counted where they get their shape.
  return elements === undefined ? 0 : byteSize(dtype) * elements;
}

/**
 * ONNX Runtime's default order: depth first from the nodes that nothing reads, of several inputs the one that
 * stands last in the file first (`GraphViewer`, `ReverseDFSFrom`).
 */
export function executionOrder({ nodes }: Graph): Node[] {
  const index = new Map(nodes.map((node, i) => [node, i]));
  const makers = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) makers.set(output, node);
  const read = new Set(nodes.flatMap(({ inputs }) => inputs));
  const stack = nodes
    .filter(({ outputs }) => !outputs.some((output) => read.has(output)))
    .map((node) => ({ node, left: false }));
  const visited = new Set<Node>();
  const order: Node[] = [];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, left } = top;
    if (left) order.push(node);
    if (left || visited.has(node)) continue;
    visited.add(node);
    stack.push({ node, left: true });
    const before = new Set(node.inputs.map((input) => input && makers.get(input)));
    for (const input of [...before]
      .filter((n) => n !== undefined)
      .sort((a, b) => index.get(a)! - index.get(b)!)) {
      if (!visited.has(input)) stack.push({ node: input, left: false });
    }
  }
  return order;
}
