import { defaultThreads } from "../engine/index.ts";
import { Channel } from "./channel.ts";
import type { TrialEvent } from "./events.ts";
import { type RunTrialOptions, runTrial } from "./run-trial.ts";
import type { Trial } from "./trial.ts";

/** How trials share this machine. */
export interface RunTrialsOptions {
  /** Folder of all trials. */
  readonly folder: string;
  /** Trials at a time, each in a process of its own. Default: {@link defaultWorkers}. */
  readonly workers?: number;
  /** Threads of each; default: the cores, shared out. */
  readonly threads?: number;
  /** Stops after the current steps; trials can go on later. */
  readonly signal?: AbortSignal;
}

/** Runs trials somewhere: in processes of this machine, or through a queue. */
export type TrialRunner = (
  trials: Iterable<Trial>,
  folder: string,
  signal: AbortSignal,
) => AsyncIterable<TrialEvent>;

/** Runs trials in processes of this machine. */
export function localRunner(options: Pick<RunTrialsOptions, "workers"> = {}): TrialRunner {
  return (trials, folder, signal) => runTrials(trials, { ...options, folder, signal });
}

/** Cores that one trial uses well at the sizes of a batch. */
const coresPerTrial = 4;

/** Trials at a time that suit this machine: each has a backbone of its own in memory, so few. */
export function defaultWorkers(cores: number = defaultThreads()): number {
  return Math.max(1, Math.floor(cores / coresPerTrial));
}

/**
 * Runs trials in processes of their own, several at a time, and tells how they go. What has a result already is not
 * run again; what was stopped or killed goes on. A failed trial is a result like any other.
 * @param trials taken one by one, so that a generator may decide late that there are no more
 * @throws STORAGE_FULL, ENGINE_UNAVAILABLE, after the other trials were stopped
 */
export async function* runTrials(
  trials: Iterable<Trial>,
  { folder, workers = defaultWorkers(), threads, signal }: RunTrialsOptions,
): AsyncGenerator<TrialEvent> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  signal?.addEventListener("abort", stop);
  if (signal?.aborted) stop();
  const options: RunTrialOptions = {
    folder,
    threads: threads ?? Math.max(1, Math.floor(defaultThreads() / workers)),
    signal: stopping.signal,
  };
  const channel = new Channel<TrialEvent>();
  const waiting = trials[Symbol.iterator]();
  const begun = new Map<string, Promise<void>>();
  const run = async (trial: Trial): Promise<void> => {
    for await (const event of runTrial(trial, options)) channel.push(event);
  };
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const { value: trial, done } = waiting.next();
      if (done) return;
      // Of equal trials the later ones get the result of the first.
      const earlier = begun.get(trial.id) ?? Promise.resolve();
      const own = earlier.then(() => run(trial));
      begun.set(trial.id, own);
      await own;
    }
  };
  const all = Promise.all(Array.from({ length: workers }, work)).then(
    () => channel.end(),
    (error: unknown) => channel.fail(error),
  );
  try {
    yield* channel;
  } finally {
    signal?.removeEventListener("abort", stop);
    stop();
    await all;
    await Promise.allSettled(begun.values());
  }
}
