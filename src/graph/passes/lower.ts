import { GraphBuilder } from "../builder.ts";
import type { Graph, Node, Value } from "../graph.ts";
import { failGraph } from "../op.ts";
import { parts } from "../parts.ts";
import { isSupported, type OpSupport } from "../support.ts";

/**
 * Writes ops that are not supported in their parts ({@link parts}); a graph without such comes back as it is.
 * @throws GRAPH_INVALID naming the node of an op that is not supported and has no parts
 */
export function lower(graph: Graph, support: OpSupport): Graph {
  let lowered = graph;
  // Parts may have parts.
  while (!lowered.nodes.every((node) => isSupported(node, support))) lowered = lowerOnce(lowered, support);
  return lowered;
}

function lowerOnce(graph: Graph, support: OpSupport): Graph {
  const b = new GraphBuilder(graph.name);
  const replaced = new Map<Value, Value>();
  for (const input of graph.inputs) replaced.set(input, b.input(input.name, input.dtype, input.shape));
  for (const [value, source] of graph.initializers) replaced.set(value, b.initializer(value.name, source));
  for (const node of graph.nodes) {
    if (isSupported(node, support)) {
      b.copy(node, replaced);
      continue;
    }
    const inputs = node.inputs.map((input) => input && replaced.get(input)!);
    const values = b.scope(node.name, () => write(b, { ...node, inputs }));
    for (const [i, output] of node.outputs.entries()) replaced.set(output, values[i]!);
  }
  for (const [name, value] of graph.outputs) b.output(name, replaced.get(value)!);
  return b.build();
}

function write(b: GraphBuilder, { op, name, inputs, attributes }: Node): readonly Value[] {
  const own = parts[op] as ((context: object) => readonly Value[]) | undefined;
  if (own === undefined) failGraph(name, `the engine does not run ${op}, and it has no parts.`);
  return own({ b, inputs, attributes });
}
