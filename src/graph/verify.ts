import { inferTypes } from "./builder.ts";
import type { Graph, Value } from "./graph.ts";
import { failGraph, shapeText } from "./op.ts";

/**
 * Checks a graph: every value is defined once and before its use, names are unique, and the types are those
 * that inference gives. Runs after every pass.
 * @throws GRAPH_INVALID naming the node
 */
export function verify(graph: Graph): Graph {
  const defined = new Set<Value>();
  const names = new Set<string>();
  const define = (value: Value): void => {
    if (names.has(value.name)) failGraph(value.name, "two values have this name.");
    names.add(value.name);
    defined.add(value);
  };
  for (const value of graph.inputs) define(value);
  for (const [value, source] of graph.initializers) {
    if (value.dtype !== source.dtype || shapeText(value.shape) !== shapeText(source.shape)) {
      failGraph(
        value.name,
        `expected ${value.dtype}${shapeText(value.shape)}, got a ${source.dtype} tensor.`,
      );
    }
    define(value);
  }
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input && !defined.has(input)) failGraph(node.name, `"${input.name}" is used before it is defined.`);
    }
    const types = inferTypes({ ...node, outputCount: node.outputs.length });
    for (const [i, output] of node.outputs.entries()) {
      const { dtype, shape } = types[i]!;
      if (dtype !== output.dtype || shapeText(shape) !== shapeText(output.shape)) {
        const [expected, got] = [`${dtype}${shapeText(shape)}`, `${output.dtype}${shapeText(output.shape)}`];
        failGraph(node.name, `output ${i}: inference gives ${expected}, the graph says ${got}.`);
      }
      define(output);
    }
  }
  for (const [name, value] of graph.outputs) {
    if (!defined.has(value)) failGraph(name, `output "${value.name}" is not defined.`);
  }
  return graph;
}
