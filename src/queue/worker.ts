import { realpath } from "node:fs/promises";
import type { Job, Worker } from "bullmq";
import { messageOf, PtuningError } from "../core/index.ts";
import { defaultThreads } from "../engine/index.ts";
import { Channel, defaultWorkers, runTrial, type TrialEvent, type TrialResult } from "../trials/index.ts";
import { connect, queueName } from "./connect.ts";
import { encodeError, type JobProgress, openJob, type TrialJob } from "./job.ts";

/** What a worker takes trials from, and how it runs them. */
export interface WorkerOptions {
  /** `redis://[user:password@]host[:port][/database]` */
  readonly url: string;
  /** Folder that holds data and backbone, and gets the trials; no job leaves it. */
  readonly root: string;
  /** Trials at a time. Default: `defaultWorkers`. */
  readonly workers?: number;
  /** Threads of each; default: the cores, shared out. */
  readonly threads?: number;
  /** A trial whose worker gives no sign of life for so long is taken by another. Default 30. */
  readonly lockSeconds?: number;
  /** A trial that tells nothing for so long is ended for good: a pattern without an end would keep its place. Default 120. */
  readonly silenceMinutes?: number;
  /** Stops after the current steps; trials go back into the queue with their state. */
  readonly signal?: AbortSignal;
}

/** The worker waits for trials. */
export interface WorkerReadyEvent {
  readonly type: "worker-ready";
  readonly workers: number;
  readonly threads: number;
}

/** A job cannot be run here. */
export interface JobRefusedEvent {
  readonly type: "job-refused";
  readonly id: string;
  readonly error: PtuningError;
}

/** A worker has lost a trial: it gave no sign of life in time, and another may have it now. */
export interface TrialLostEvent {
  readonly type: "trial-lost";
  readonly id: string;
}

/** Redis is away; the worker goes on when it is back. */
export interface QueueErrorEvent {
  readonly type: "queue-error";
  readonly message: string;
}

/** Everything that a worker tells. */
export type WorkerEvent = WorkerReadyEvent | TrialEvent | JobRefusedEvent | TrialLostEvent | QueueErrorEvent;

const defaultLockSeconds = 30;
const defaultSilenceMinutes = 120;
/** A trial may be taken over so many times from workers that died, before it counts as what kills them. */
const mostTakeovers = 100;
/** How often the progress of a trial is told. */
const progressMs = 500;

/**
 * Takes trials from a queue and runs them, each in a process of its own, so that this one renews its claims whatever
 * computes. A worker that is killed loses nothing: its trials are taken by others, which go on from the saved state
 * where they see the same files.
 * @throws QUEUE_UNAVAILABLE, OPTION_INVALID, QUEUE_FAILED if the root does not exist
 */
export async function* runWorker(options: WorkerOptions): AsyncGenerator<WorkerEvent> {
  const { url, workers = defaultWorkers(), lockSeconds = defaultLockSeconds } = options;
  const { signal: outer = new AbortController().signal } = options;
  const silenceMs = (options.silenceMinutes ?? defaultSilenceMinutes) * 60_000;
  const threads = options.threads ?? Math.max(1, Math.floor(defaultThreads() / workers));
  const root = await realpath(options.root).catch((cause: unknown) => {
    throw new PtuningError("QUEUE_FAILED", `${options.root}: expected the root folder: ${messageOf(cause)}`);
  });
  const { library, connection } = await connect(url);
  const channel = new Channel<WorkerEvent>();
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  /** Trials that run here; aborted when another worker has them. */
  const held = new Map<string, AbortController>();

  const runJob = async (job: Job<TrialJob, TrialResult>, token?: string): Promise<TrialResult> => {
    const id = job.id ?? "";
    const own = new AbortController();
    held.set(id, own);
    try {
      const { trial, folder, inputs, origin } = await openJob(job.data, root, id);
      const signal = AbortSignal.any([stopping.signal, own.signal]);
      const lockWaitMs = lockSeconds * 1000;
      let result: TrialResult | undefined;
      let told = 0;
      const how = { folder, threads, signal, inputs, origin, lockWaitMs, silenceMs };
      for await (const event of runTrial(trial, how)) {
        channel.push(event);
        if (event.type === "trial-done") result = event.result;
        const progress = toldProgress(event);
        if (progress === undefined || (isStep(event) && performance.now() - told < progressMs)) continue;
        if (isStep(event)) told = performance.now();
        // Whether anybody hears of it changes nothing for the trial.
        job.updateProgress(progress).catch(() => {});
      }
      if (result !== undefined) return result;
    } catch (error) {
      if (own.signal.aborted) throw new library.UnrecoverableError("lost");
      const known = error instanceof PtuningError ? error : undefined;
      if (known) channel.push({ type: "job-refused", id, error: known });
      const text = encodeError(error);
      // What is wrong with a job is wrong on every machine; what this machine lacks another may have.
      throw known?.code === "QUEUE_FAILED" ? new library.UnrecoverableError(text) : new Error(text);
    } finally {
      held.delete(id);
    }
    // Stopped: another worker goes on with it.
    if (token !== undefined && !own.signal.aborted) await job.moveToWait(token);
    throw new library.WaitingError();
  };

  const worker: Worker<TrialJob, TrialResult> = new library.Worker(queueName, runJob, {
    connection,
    concurrency: workers,
    lockDuration: lockSeconds * 1000,
    stalledInterval: (lockSeconds * 1000) / 2,
    maxStalledCount: mostTakeovers,
    autorun: false,
  });
  worker.on("error", (error) => channel.push({ type: "queue-error", message: error.message }));
  worker.on("lockRenewalFailed", (ids) => {
    for (const id of ids) {
      const own = held.get(id);
      if (own === undefined || own.signal.aborted) continue;
      own.abort();
      channel.push({ type: "trial-lost", id });
    }
  });
  outer.addEventListener("abort", stop);
  if (outer.aborted) stop();
  try {
    await worker.waitUntilReady();
    channel.push({ type: "worker-ready", workers, threads });
    void worker.run().catch((error: unknown) => channel.fail(error));
    stopping.signal.addEventListener("abort", () => {
      worker.close().then(
        () => channel.end(),
        (error: unknown) => channel.fail(error),
      );
    });
    yield* channel;
  } finally {
    outer.removeEventListener("abort", stop);
    stop();
    await worker.close();
  }
}

/** What of an event goes through the queue. */
function toldProgress(event: TrialEvent): JobProgress | undefined {
  if (event.type === "trial-start") return { type: event.type, resumed: event.resumed };
  return event.type === "trial-progress" ? { type: event.type, event: event.event } : undefined;
}

function isStep(event: TrialEvent): boolean {
  return event.type === "trial-progress" && event.event.type === "step";
}
