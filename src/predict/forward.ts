import type { Backbone } from "../backbones/index.ts";
import type { Session } from "../engine/index.ts";
import { batchFeeds } from "../model/index.ts";
import type { Encoded, Evaluation, Task } from "../tasks/index.ts";
import { forwardBatches, padBatch } from "../text/index.ts";

/** Logits of some rows, as the head lays them out. */
export interface ForwardBatch {
  readonly rows: Int32Array;
  readonly logits: ArrayLike<number>;
  /** Rows done so far. */
  readonly done: number;
}

/** Runs an inference session over all rows, in batches of like length. */
export async function* forward(
  session: Session,
  encoded: Encoded,
  backbone: Pick<Backbone, "config">,
): AsyncGenerator<ForwardBatch> {
  let done = 0;
  for (const rows of forwardBatches(encoded.sequences)) {
    const batch = padBatch(encoded.sequences, rows, backbone.config.padTokenId);
    const { logits } = await session.run(batchFeeds(batch));
    done += rows.length;
    yield { rows, logits: logits!.data as Float32Array, done };
  }
}

/** Scores encoded examples with an inference session. */
export async function evaluateSession(
  session: Session,
  task: Task,
  encoded: Encoded,
  backbone: Pick<Backbone, "config">,
): Promise<Evaluation> {
  const evaluator = task.evaluator();
  for await (const { rows, logits } of forward(session, encoded, backbone))
    evaluator.add(logits, encoded, rows);
  return evaluator.result();
}
