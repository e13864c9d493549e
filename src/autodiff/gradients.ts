import { failGraph, type GraphBuilder, type Node, type Value } from "../graph/index.ts";
import type { Rule } from "./rule.ts";
import { rules } from "./table.ts";

/**
 * Reverse-mode differentiation: appends to `b` the nodes that compute d`loss`/d`trainable`. Only nodes
 * between a trainable value and the loss get a backward part; frozen weights get none.
 *
 * @param loss a scalar, or any value whose elements are summed
 * @param trainable graph inputs
 * @returns one gradient per trainable value, of its shape
 * @throws GRAPH_INVALID if the loss does not depend on one of them, or a path leads through an op without a
 *   gradient
 */
export function gradients(b: GraphBuilder, loss: Value, trainable: readonly Value[]): Value[] {
  const nodes = [...b.nodes];
  const active = new Set<Value>(trainable);
  for (const node of nodes) {
    if (node.inputs.some((input) => input && active.has(input))) {
      for (const output of node.outputs) active.add(output);
    }
  }
  const grads = new Map<Value, Value>();
  b.scope("grad", () => {
    grads.set(loss, b.expand(b.scalar(1), loss.shape));
    for (const node of nodes.toReversed()) {
      const needs = node.inputs.map((input) => input !== undefined && active.has(input));
      const upstream = node.outputs.map((output) => grads.get(output));
      if (!needs.includes(true) || upstream.every((grad) => grad === undefined)) continue;
      const results = differentiate(b, node, upstream, needs);
      for (const [i, input] of node.inputs.entries()) {
        const result = results[i];
        if (!input || !needs[i] || result === undefined) continue;
        const earlier = grads.get(input);
        grads.set(input, earlier === undefined ? result : b.op("Add", [earlier, result]));
      }
    }
  });
  return trainable.map(
    (value) =>
      grads.get(value) ?? failGraph(value.name, "the loss does not depend on this trainable tensor."),
  );
}

function differentiate(
  b: GraphBuilder,
  node: Node,
  grads: readonly (Value | undefined)[],
  needs: readonly boolean[],
): readonly (Value | undefined)[] {
  const rule = rules[node.op] as Rule | null;
  if (rule === null) failGraph(node.name, `${node.op} has no gradient, but a trainable tensor leads to it.`);
  return b.scope(node.name, () =>
    rule({
      b,
      name: node.name,
      inputs: node.inputs as readonly Value[],
      outputs: node.outputs,
      attributes: node.attributes,
      grad: grads[0] as Value,
      grads,
      needs,
    }),
  );
}
