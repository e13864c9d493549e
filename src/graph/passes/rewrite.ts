import type { TensorSource } from "../../core/index.ts";
import type { Graph, Node, Value } from "../graph.ts";

/** What a pass does with one node: keep it, or use other values for its outputs. */
export type Rewrite = (node: Node, initializers: Map<Value, TensorSource>) => readonly Value[] | undefined;

/**
 * Visits the nodes in order, each with its inputs already replaced. Where `rewrite` returns values, the node
 * goes and its outputs become those values.
 */
export function rewriteGraph(graph: Graph, rewrite: Rewrite): Graph {
  const replaced = new Map<Value, Value>();
  const current = (value: Value): Value => replaced.get(value) ?? value;
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node: Node = { ...original, inputs: original.inputs.map((input) => input && current(input)) };
    const values = rewrite(node, initializers);
    if (values === undefined) nodes.push(node);
    else for (const [i, output] of node.outputs.entries()) replaced.set(output, values[i]!);
  }
  const outputs = new Map([...graph.outputs].map(([name, value]) => [name, current(value)]));
  return { ...graph, nodes, initializers, outputs };
}
