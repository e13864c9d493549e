import type { Graph, Value } from "../graph.ts";

/** Drops nodes and initializers from which no output is reachable. Graph inputs stay. */
export function prune(graph: Graph): Graph {
  const live = new Set<Value>(graph.outputs.values());
  const nodes = graph.nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((output) => live.has(output))) return false;
      for (const input of node.inputs) if (input) live.add(input);
      return true;
    })
    .toReversed();
  const initializers = new Map([...graph.initializers].filter(([value]) => live.has(value)));
  return { ...graph, nodes, initializers };
}
