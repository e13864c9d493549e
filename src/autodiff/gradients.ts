import { failGraph, type GradientRegion, type GraphBuilder, type Node, type Value } from "../graph/index.ts";
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
  const steps = backwardSteps(b);
  const active = new Set<Value>(trainable);
  for (const { inputs, outputs } of steps) {
    if (inputs.some((input) => input && active.has(input))) for (const output of outputs) active.add(output);
  }
  const grads = new Map<Value, Value>();
  b.scope("grad", () => {
    grads.set(loss, b.expand(b.scalar(1), loss.shape));
    for (const { inputs, outputs, differentiate } of steps.toReversed()) {
      const needs = inputs.map((input) => input !== undefined && active.has(input));
      const upstream = outputs.map((output) => grads.get(output));
      if (!needs.includes(true) || upstream.every((grad) => grad === undefined)) continue;
      const results = differentiate(upstream, needs);
      for (const [i, input] of inputs.entries()) {
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

/** One thing to differentiate: a node, or a region of nodes with a gradient of its own. */
interface BackwardStep {
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  differentiate(
    grads: readonly (Value | undefined)[],
    needs: readonly boolean[],
  ): readonly (Value | undefined)[];
}

function backwardSteps(b: GraphBuilder): BackwardStep[] {
  const nodes = [...b.nodes];
  // Of nested regions the outermost counts.
  const regions = new Map<number, GradientRegion>();
  for (const region of b.regions) {
    const known = regions.get(region.start);
    if (known === undefined || region.end > known.end) regions.set(region.start, region);
  }
  const steps: BackwardStep[] = [];
  for (let i = 0; i < nodes.length; ) {
    const region = regions.get(i);
    if (region !== undefined && region.end > i) {
      const { inputs, output, gradient } = region;
      const name = nodes[region.end - 1]!.name;
      steps.push({
        inputs,
        outputs: [output],
        differentiate: ([grad], needs) => b.scope(name, () => gradient(grad!, needs)),
      });
      i = region.end;
    } else {
      const node = nodes[i]!;
      const { inputs, outputs } = node;
      steps.push({ inputs, outputs, differentiate: (grads, needs) => differentiate(b, node, grads, needs) });
      i++;
    }
  }
  return steps;
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
