/**
 * Heads on the vectors of the tuned and of the untouched backbone side by side. What the untouched one makes of a text stays the
 * same, so it is computed once.
 */
import { abortable } from "../backbones/portable.ts";
import { type Params, Rng } from "../core/index.ts";
import { bareFeatures, type Features, linearOutputs } from "../fit/index.ts";
import type { Encoded, Evaluation, Evaluator, Task } from "../tasks/index.ts";
import { itemCount, tokenCount } from "../text/portable.ts";
import type { Run, RunTask } from "./set-up.ts";

/**
 * From so many training items on no such head is offered: what it gains are points where rows are few, and every text costs a second
 * pass of the backbone in use.
 */
const mostItems = 1000;

/** A task with such a head, and what this reads of the untouched backbone. */
export interface Blend {
  readonly task: Task;
  readonly train: Features;
  /** Absent where there is no dev set. */
  readonly dev?: Features;
}

/** What of a run's task reads the untouched backbone, if its head may; the run has seen that heads are fitted again. */
export async function offeredBlend(run: Run, one: RunTask): Promise<Blend | undefined> {
  const { options, settings, backbone } = run;
  const { method } = options;
  const { task, parts, trainSet, devSet } = one;
  const { config, architecture } = backbone;
  // Beside a method that leaves the backbone as it is there is nothing to add, and one that trains its weights leaves none untouched.
  const isTuned = Object.keys(method.parameters(config, architecture)).length > 0;
  const isOffered =
    settings.blend === "auto" &&
    !("tasks" in options) &&
    isTuned &&
    method.trains === undefined &&
    !method.fitsHead &&
    itemCount(trainSet) < mostItems;
  const blended = isOffered ? task.blended?.() : undefined;
  if (blended === undefined) return undefined;
  const source = {
    parts: { ...parts, head: blended.head, backbone: abortable(backbone, options.signal) },
    maxLength: settings.maxLength,
    rng: new Rng(settings.seed, "bare"),
  };
  return {
    task: blended,
    train: await bareFeatures(source, trainSet),
    ...(devSet.count > 0 && { dev: await bareFeatures(source, devSet) }),
  };
}

/** Has some rows scored as a linear layer answers them. @param rows all that have features, where left out */
export function addLinear(
  evaluator: Evaluator,
  encoded: Encoded,
  head: Params,
  features: Features,
  rows?: Int32Array,
): void {
  const places = new Map(Array.from(features.rows, (row, place) => [row, place]));
  for (const row of rows ?? features.rows) {
    const logits = linearOutputs(head, features, places.get(row)!);
    evaluator.add({ rows: Int32Array.of(row), length: tokenCount(encoded.sequences, row), logits });
  }
}

/** Scores of a linear layer on all rows that have features. */
export function evaluateLinear(task: Task, encoded: Encoded, head: Params, features: Features): Evaluation {
  const evaluator = task.evaluator(encoded);
  addLinear(evaluator, encoded, head, features);
  return evaluator.result();
}
