import type { Graph, Value } from "../graph.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Common-subexpression merging: of nodes with equal op, attributes and inputs, the first serves all. */
export function mergeDuplicates(graph: Graph): Graph {
  const seen = new Map<string, readonly Value[]>();
  return rewriteGraph(graph, (node) => {
    const attributes = Object.entries(node.attributes).sort(([a], [b]) => (a < b ? -1 : 1));
    const inputs = node.inputs.map((input) => input?.name ?? null);
    const key = JSON.stringify([node.op, attributes, inputs, node.outputs.length]);
    const earlier = seen.get(key);
    if (earlier === undefined) seen.set(key, node.outputs);
    return earlier;
  });
}
