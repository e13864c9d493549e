import type { Graph, Node, Value } from "../graph.ts";
import { rewriteGraph } from "./rewrite.ts";

/**
 * Control edges (`GraphBuilder.after`) give a value its place in time for the sake of its readers. Where there are none,
 * as in the forward pass of a segment that is computed again, the edge alone would have it computed: there the edge goes.
 */
export function dropIdleEdges(graph: Graph): Graph {
  const read = new Set<Value>(graph.outputs.values());
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => read.has(output))) continue;
    for (const input of node.inputs.slice(waits(node) ? 1 : 0)) if (input) read.add(input);
  }
  /** Values between the trigger of an idle edge and the shape that its zero is added to. */
  const idle = new Set<Value>();
  return rewriteGraph(graph, (node) => {
    const [first, second] = node.inputs;
    if (node.op === "Add" && idle.has(second!)) return [first!];
    if ((waits(node) && !read.has(first!)) || idle.has(first!)) idle.add(node.outputs[0]!);
    return undefined;
  });
}

/** Whether a node reads an empty slice: it only waits. */
function waits({ op, inputs: [, starts, ends] }: Node): boolean {
  return op === "Slice" && [starts, ends].every((bounds) => bounds?.elements?.every((bound) => bound === 0));
}
