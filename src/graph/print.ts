import { fileName, isExternal } from "../core/index.ts";
import type { Graph, Value } from "./graph.ts";
import { shapeText } from "./op.ts";

/** A graph as text, one line per node: what it says is what runs. */
export function printGraph(graph: Graph): string {
  const typed = ({ name, dtype, shape }: Value): string => `%${name}: ${dtype}${shapeText(shape)}`;
  const lines = [`graph ${graph.name} {`];
  for (const input of graph.inputs) lines.push(`  input ${typed(input)}`);
  for (const [value, source] of graph.initializers) {
    const place = isExternal(source) ? ` in ${fileName(source.source)} at byte ${source.offset}` : "";
    lines.push(`  frozen ${typed(value)}${place}`);
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => (input ? `%${input.name}` : "none")).join(", ");
    const attributes = Object.entries(node.attributes)
      .map(([key, value]) => `${key}=${Array.isArray(value) ? `[${value}]` : value}`)
      .join(", ");
    const suffix = attributes === "" ? "" : ` {${attributes}}`;
    lines.push(`  ${node.outputs.map(typed).join(", ")} = ${node.op}(${inputs})${suffix}`);
  }
  for (const [name, value] of graph.outputs) lines.push(`  output ${name} = %${value.name}`);
  return [...lines, "}"].join("\n");
}
