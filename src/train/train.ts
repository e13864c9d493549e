import type { Adapter, MultiTaskAdapter, SavedAdapter } from "../adapters/index.ts";
import type { Encoded } from "../tasks/index.ts";
import type { TrainEvent } from "./events.ts";
import { finish } from "./finish.ts";
import { loop } from "./loop.ts";
import type { AnyTrainOptions, MultiTaskOptions, TrainOptions } from "./options.ts";
import { setUp } from "./set-up.ts";
import { start } from "./start-event.ts";

/**
 * Tunes a method and a head on a frozen backbone, or a head for each of several tasks. An async generator: it does nothing until events are taken,
 * and each event is handed out before the run goes on. Equal options give equal numbers on the same machine,
 * also when the run was stopped and resumed. However it ends, it leaves nothing open.
 *
 * A `signal` that aborts before the event `start` throws its reason, and nothing was done. From then on it ends the run at
 * the next update, in an evaluation within a batch of it, with the events `checkpoint` and `done` (`reason: "aborted"`).
 *
 * @throws OPTION_INVALID, DATA_INVALID, SEQUENCE_TOO_LONG before the first step; TRAINING_DIVERGED where the
 *   loss or a gradient is not a number; RUN_INVALID if `resume` belongs to another run or is none
 * @example
 * for await (const event of train({ backbone, task, data, method: deepPrompt(), seed: 11 })) {
 *   if (event.type === "step") console.log(event.step, event.loss);
 *   if (event.type === "done") await event.adapter.save("./adapters/mine");
 * }
 */
export function train<E, N extends Encoded, P>(
  options: TrainOptions<E, N, P>,
): AsyncGenerator<TrainEvent<Adapter>>;
export function train(options: MultiTaskOptions): AsyncGenerator<TrainEvent<MultiTaskAdapter>>;
export function train(options: AnyTrainOptions): AsyncGenerator<TrainEvent<SavedAdapter>>;
export async function* train(options: AnyTrainOptions): AsyncGenerator<TrainEvent<SavedAdapter>> {
  await using run = await setUp(options);
  yield* start(run);
  const reason = yield* loop(run);
  yield* finish(run, reason);
}
