import { referenceTo } from "../adapters/portable.ts";
import { PtuningError } from "../core/index.ts";
import type { CheckpointEvent } from "./events.ts";
import type { Run } from "./set-up.ts";
import { collectState, type ReadableState, readable } from "./state.ts";

/** A checkpoint while it is offered. */
export interface OfferedCheckpoint extends AsyncDisposable {
  readonly event: CheckpointEvent;
}

/**
 * Offers the state of a run, which nobody copies unless it is asked for. Disposing of the offer ends it: what was asked
 * for in time is waited for, what comes later is refused, as by then the tensors are others.
 */
export function offerCheckpoint(run: Run): OfferedCheckpoint {
  const { step } = run.progress;
  const begun = new Set<Promise<unknown>>();
  let isOver = false;
  const take = async <T>(copy: () => Promise<T>): Promise<T> => {
    if (isOver) {
      throw new PtuningError(
        "RUN_INVALID",
        `checkpoint of step ${step}: expected to be taken before the next event, got asked when the run had gone on.`,
        { hint: "Call state() or save() while the event is handled." },
      );
    }
    const copying = copy();
    begun.add(copying);
    return copying;
  };
  return {
    event: {
      type: "checkpoint",
      step,
      state: () => take(() => collectState(stateOf(run))),
      save: (path) =>
        take(async () => {
          // An entry of package.json: what this is depends on where it runs.
          const { writeReadableState } = await import("#state-file");
          await writeReadableState(path, stateOf(run));
        }),
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.allSettled(begun);
    },
  };
}

function stateOf(run: Run): ReadableState {
  const { store, identity, frozen, backbone, tasks } = run;
  const { best, ...progress } = run.progress;
  const { method } = run.options;
  const origin = {
    backbone: referenceTo(backbone),
    method: { name: method.name, options: method.options },
    tasks: Object.fromEntries(tasks.map(({ name, task: { type, options } }) => [name, { type, options }])),
  };
  return {
    facts: { ...progress, identity, origin },
    best: best?.evaluation,
    tensors: {
      ...store.look(),
      best: readable(best?.params ?? {}),
      frozen: readable(frozen),
      fixed: readable(tasks[0]!.parts.fixed ?? {}),
    },
  };
}
