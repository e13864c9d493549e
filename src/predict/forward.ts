import type { Backbone } from "../backbones/index.ts";
import type { TensorMap } from "../core/index.ts";
import type { Session } from "../engine/index.ts";
import { batchFeeds, logitsOutput } from "../model/index.ts";
import type { Encoded, Evaluation, HeadOutput, PassShape, Task } from "../tasks/index.ts";
import { forwardBatches, padBatch } from "../text/portable.ts";

/** The logits of one pass, and how far the work is. */
export interface ForwardPass extends HeadOutput {
  /** Share of the sequences done so far, 0 … 1. */
  readonly done: number;
}

/** Feeds of a pass beside its tokens. */
export type PassFeeds = (pass: PassShape) => TensorMap;

/** One output of a pass: a row or more for each of its sequences. */
export interface OutputPass extends PassShape {
  readonly values: Float32Array;
  /** Share of the sequences done so far, 0 … 1. */
  readonly done: number;
}

/** Runs an inference session over all sequences; the passes with their logits. See {@link outputs}. */
export async function* forward(
  session: Session,
  { sequences }: Pick<Encoded, "sequences">,
  backbone: Pick<Backbone, "config">,
  maxLength: number,
  more?: PassFeeds,
  wanted?: Int32Array,
): AsyncGenerator<ForwardPass> {
  for await (const { values, ...pass } of outputs(
    session,
    logitsOutput,
    sequences,
    backbone,
    maxLength,
    more,
    wanted,
  ))
    yield { ...pass, logits: values };
}

/**
 * Runs a session over all sequences. What comes out for a sequence does not depend on the others, to the bit.
 * @param output name of the one that is handed out
 * @param maxLength the greatest length that the model takes
 * @param more feeds of each pass beside its tokens
 * @param wanted numbers of the sequences; left out, all
 */
export async function* outputs(
  session: Session,
  output: string,
  sequences: Encoded["sequences"],
  backbone: Pick<Backbone, "config">,
  maxLength: number,
  more: PassFeeds = () => ({}),
  wanted?: Int32Array,
): AsyncGenerator<OutputPass> {
  let done = 0;
  for (const { rows, length } of forwardBatches(sequences, maxLength, wanted)) {
    const batch = padBatch(sequences, rows, backbone.config.padTokenId, length);
    const { [output]: found } = await session.run({ ...batchFeeds(batch), ...more({ rows, length }) });
    done += rows.length;
    yield {
      rows,
      length,
      values: found!.data as Float32Array,
      done: done / (wanted?.length ?? sequences.count),
    };
  }
}

/** Scores encoded examples with an inference session. */
export async function evaluateSession(
  session: Session,
  task: Task,
  encoded: Encoded,
  backbone: Pick<Backbone, "config">,
  maxLength: number,
  more?: PassFeeds,
): Promise<Evaluation> {
  const evaluator = task.evaluator(encoded);
  for await (const pass of forward(session, encoded, backbone, maxLength, more)) evaluator.add(pass);
  return evaluator.result();
}
