import { Adapter, referenceTo } from "../adapters/portable.ts";
import { abortable, type Backbone } from "../backbones/portable.ts";
import { PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import { versions } from "../files/portable.ts";
import { linearProbe } from "../methods/index.ts";
import { paramShapes } from "../model/index.ts";
import type { Task } from "../tasks/index.ts";
import { settleTask } from "./settle.ts";

/** What an adapter without training is told beside its task. */
export interface ZeroShotOptions {
  /** Tokens per text; longer ones are cut. Default: as many as the backbone reads. */
  readonly maxLength?: number;
  /** Where the labels come from; other files are read as these were. */
  readonly data?: Pick<Dataset, "fingerprint" | "table">;
  /** Ends the work with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * An adapter in which nothing was trained: a verbalizer on the untouched backbone. It predicts, evaluates and is saved like
 * any other.
 * @throws OPTION_INVALID if the task's head has parameters; BACKBONE_UNSUPPORTED
 * @example
 * const task = sequenceClassification({ labels: ["good", "bad"], head: "verbalizer", template: "{text} It was {mask}." });
 * task.head.name; // "verbalizer"
 */
export async function zeroShot(
  task: Task,
  backbone: Backbone,
  { maxLength, data, signal }: ZeroShotOptions = {},
): Promise<Adapter> {
  signal?.throwIfAborted();
  const settled = await settleTask(task, abortable(backbone, signal));
  const method = linearProbe();
  const [trained] = Object.keys(paramShapes({ backbone, method, head: settled.head }));
  if (trained !== undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `zeroShot: expected a task whose head has no parameters, got one with ${trained}.`,
      { hint: "Train it first, or use head: verbalizer on a backbone with a masked-LM head." },
    );
  }
  return new Adapter({
    task: settled,
    method,
    params: {},
    backbone: referenceTo(backbone),
    maxLength: maxLength ?? backbone.architecture.maxLength(backbone.config, 0),
    provenance: {
      createdAt: new Date().toISOString(),
      versions: versions(),
      ...(data && {
        data: { fingerprint: data.fingerprint, train: 0, dev: 0, ...(data.table && { table: data.table }) },
      }),
    },
  });
}
