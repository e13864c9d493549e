import { failGraph, type GraphBuilder, type Node, type NodeRange, type Value } from "../graph/index.ts";
import type { Rule } from "./rule.ts";
import { rules } from "./table.ts";

/** How gradients are computed. */
export interface GradientOptions {
  /**
   * Computes the values of checkpointed segments again in the backward pass instead of keeping them: less memory
   * for more time. The last segment is kept: it is needed at once.
   */
  readonly recompute?: boolean;
}

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
export function gradients(
  b: GraphBuilder,
  loss: Value,
  trainable: readonly Value[],
  { recompute = false }: GradientOptions = {},
): Value[] {
  const segments = b.checkpoints.map((range, i) => ({
    ...range,
    again: recompute && i < b.checkpoints.length - 1,
  }));
  const grads = new Map<Value, Value>();
  b.scope("grad", () => {
    const whole = { start: 0, end: b.nodes.length };
    const steps = [...backwardSteps(b, whole, segments)];
    grads.set(loss, b.expand(b.scalar(1), loss.shape));
    runBackward(b, steps, new Set(trainable), grads);
  });
  return trainable.map(
    (value) =>
      grads.get(value) ?? failGraph(value.name, "the loss does not depend on this trainable tensor."),
  );
}

/** One thing to differentiate: a node, a region of nodes with a gradient of its own, or a segment. */
interface BackwardStep {
  /** What is computed in it. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  differentiate(
    grads: readonly (Value | undefined)[],
    needs: readonly boolean[],
  ): readonly (Value | undefined)[];
}

/** Adds to `grads`, which holds those of some outputs, the gradients of all values that depend on `trainable`. */
function runBackward(
  b: GraphBuilder,
  steps: readonly BackwardStep[],
  trainable: ReadonlySet<Value>,
  grads: Map<Value, Value>,
): void {
  const active = new Set(trainable);
  for (const { nodes } of steps) {
    for (const { inputs, outputs } of nodes) {
      if (inputs.some((input) => input && active.has(input)))
        for (const output of outputs) active.add(output);
    }
  }
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
}

function* backwardSteps(
  b: GraphBuilder,
  { start, end }: NodeRange,
  segments: readonly Segment[],
): Generator<BackwardStep> {
  const nodes = b.nodes.slice(0, end);
  const checkpoints = outermost(segments);
  const regions = outermost(b.regions);
  for (let i = start; i < end; ) {
    const segment = checkpoints.get(i);
    const region = regions.get(i);
    if (segment !== undefined) {
      yield segmentStep(b, segment);
      i = segment.end;
    } else if (region !== undefined) {
      const { inputs, output, gradient } = region;
      const name = nodes[region.end - 1]!.name;
      yield {
        nodes: nodes.slice(region.start, region.end),
        inputs,
        outputs: [output],
        differentiate: ([grad], needs) => b.scope(name, () => gradient(grad!, needs, region)),
      };
      i = region.end;
    } else {
      const node = nodes[i]!;
      const { inputs, outputs } = node;
      yield {
        nodes: [node],
        inputs,
        outputs,
        differentiate: (grads, needs) => differentiate(b, node, grads, needs),
      };
      i++;
    }
  }
}

/** Ranges by where they start; of nested ones the outermost counts. */
function outermost<R extends NodeRange>(ranges: readonly R[]): Map<number, R> {
  const found = new Map<number, R>();
  for (const range of ranges) {
    const known = found.get(range.start);
    if (range.end > range.start && (known === undefined || range.end > known.end)) {
      found.set(range.start, range);
    }
  }
  return found;
}

/** A checkpointed range, and whether its values are computed again. */
interface Segment extends NodeRange {
  readonly again: boolean;
}

/**
 * The nodes of a segment as one step. Where its values are not kept, its nodes are written again, on inputs that
 * wait for the gradient, and the copies are differentiated. Either way the whole step is done before the backward
 * pass goes on below it: else the runtime is free to leave sums over the batch for later, and to keep what they
 * are summed from.
 */
function segmentStep(b: GraphBuilder, segment: Segment): BackwardStep {
  const nodes = b.nodes.slice(segment.start, segment.end);
  const outputs = nodes.flatMap((node) => node.outputs);
  const own = new Set(outputs);
  const read = new Set(nodes.flatMap((node) => node.inputs));
  // In the order in which they are made: the last one is the output of the segment beneath.
  const inputs = [...b.inputs, ...b.nodes.slice(0, segment.start).flatMap((node) => node.outputs)].filter(
    (value) => read.has(value) && !own.has(value),
  );
  return {
    nodes,
    inputs,
    outputs,
    differentiate(upstream, needs) {
      const trigger = upstream.find((grad) => grad !== undefined)!;
      const current = new Map(
        inputs.map((input) => [input, segment.again ? b.after(input, trigger) : input]),
      );
      const range = segment.again ? b.scope("again", () => b.repeat(segment, current)) : segment;
      const copyOf = (value: Value): Value => current.get(value) ?? value;
      const grads = new Map<Value, Value>();
      for (const [i, grad] of upstream.entries()) if (grad) grads.set(copyOf(outputs[i]!), grad);
      const trainable = new Set(inputs.filter((_, i) => needs[i]).map(copyOf));
      runBackward(b, [...backwardSteps(b, range, [])], trainable, grads);
      const results = inputs.map((input) => grads.get(copyOf(input)));
      const last = results.findLastIndex((result) => result !== undefined);
      for (const result of results.slice(0, last)) {
        if (result && result.shape.length > 0) results[last] = b.after(results[last]!, result);
      }
      return results;
    },
  };
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
