import { join, resolve } from "node:path";
import type { Job, Queue, QueueEvents } from "bullmq";
import * as z from "zod";
import { type ErrorCode, errorCodes, PtuningError } from "../core/index.ts";
import { makeFolder } from "../files/index.ts";
import {
  Channel,
  type Inputs,
  inputsOf,
  readTrialResult,
  type Trial,
  type TrialEvent,
  type TrialResult,
  type TrialRunner,
  type TrialTrainEvent,
  trialResultSchema,
  writeTrialResult,
} from "../trials/index.ts";
import { connect, queueName } from "./connect.ts";
import { decodeError, jobId, type TrialJob, toJob, trialId } from "./job.ts";

/** Where the queue is. */
export interface QueueRunnerOptions {
  /** `redis://[user:password@]host[:port][/database]` */
  readonly url: string;
  /** Folder that holds data, backbone and results; workers have the same files under a root of theirs. */
  readonly root: string;
}

/** Trials in the queue at a time: enough for many workers, few enough to stop in time. */
const mostQueued = 64;
/** Workers that may refuse a trial, for lack of its files say, before it is given up. */
const attempts = 5;
const retryMs = 1000;
/** Events can be lost while Redis is away: now and then the jobs themselves are asked. */
const askEveryMs = 5000;

type TrialQueue = Queue<TrialJob, unknown>;

/** Runs trials by workers of a queue; results come back into the folder of the trials. */
export function queueRunner({ url, root }: QueueRunnerOptions): TrialRunner {
  return async function* runQueued(trials, folder, signal) {
    const { library, connection } = await connect(url);
    const queue: TrialQueue = new library.Queue(queueName, { connection });
    const events = new library.QueueEvents(queueName, { connection });
    // Redis that is away for a while comes back; what it cannot deliver meanwhile is asked for later.
    queue.on("error", () => {});
    events.on("error", () => {});
    const run = new QueuedTrials(queue, resolve(folder), resolve(root));
    const timer = setInterval(() => run.ask(), askEveryMs);
    const stop = (): void => run.stop();
    signal.addEventListener("abort", stop);
    try {
      await events.waitUntilReady();
      run.listen(events);
      run.start(trials);
      if (signal.aborted) stop();
      yield* run.channel;
    } finally {
      signal.removeEventListener("abort", stop);
      clearInterval(timer);
      await run.withdraw().finally(() => Promise.all([events.close(), queue.close()]));
    }
  };
}

const progressSchema = z.union([
  z.object({ type: z.literal("trial-start"), resumed: z.boolean() }),
  z.object({
    type: z.literal("trial-progress"),
    event: z.union([
      z.looseObject({ type: z.literal("start"), startStep: z.number(), totalSteps: z.number() }),
      z.looseObject({ type: z.literal("step"), step: z.number() }),
      z.looseObject({ type: z.literal("evaluation"), scores: z.record(z.string(), z.number()) }),
      z.looseObject({ type: z.enum(["trunk", "warning"]) }),
    ]),
  }),
]);

/** The trials that are in the queue, until each has its result. */
class QueuedTrials {
  readonly channel = new Channel<TrialEvent>();
  readonly #queue: TrialQueue;
  readonly #folder: string;
  readonly #root: string;
  readonly #open = new Map<string, Trial>();
  /** Work that settles one after the other, so that nothing is done twice. */
  #work: Promise<void> = Promise.resolve();
  #trials: Iterator<Trial> | undefined;
  #inputs = new Map<string, Promise<Inputs>>();
  #isDone = false;

  constructor(queue: TrialQueue, folder: string, root: string) {
    this.#queue = queue;
    this.#folder = folder;
    this.#root = root;
  }

  listen(events: QueueEvents): void {
    events.on("completed", ({ jobId }) => this.#later(() => this.#look(trialId(jobId))));
    events.on("failed", ({ jobId, failedReason }) =>
      this.#later(async () => {
        if (this.#open.has(trialId(jobId))) throw asThrown(failedReason);
      }),
    );
    events.on("progress", ({ jobId, data }) => {
      const trial = this.#open.get(trialId(jobId));
      const progress = progressSchema.safeParse(data);
      if (trial === undefined || !progress.success) return;
      const event = progress.data;
      if (event.type === "trial-start") this.channel.push({ ...event, trial });
      else this.channel.push({ type: event.type, trial, event: event.event as object as TrialTrainEvent });
    });
  }

  start(trials: Iterable<Trial>): void {
    this.#trials = trials[Symbol.iterator]();
    this.#later(() => this.#feed());
  }

  /** Ends without the results that are not there yet. */
  stop(): void {
    this.#isDone = true;
    this.channel.end();
  }

  /** Looks at every open trial, in case its event was lost. */
  ask(): void {
    for (const id of this.#open.keys()) this.#later(() => this.#look(id));
  }

  /** Takes back what no worker has begun; what is begun goes on, and its result waits in the queue. */
  async withdraw(): Promise<void> {
    this.#isDone = true;
    await this.#work;
    for (const id of this.#open.keys()) {
      const job = await this.#queue.getJob(jobId(id));
      const state = await job?.getState();
      if (state === "waiting" || state === "delayed") await job?.remove().catch(() => {});
    }
  }

  #later(work: () => Promise<void>): void {
    this.#work = this.#work
      .then(() => (this.#isDone ? undefined : work()))
      .catch((error: unknown) => {
        this.#isDone = true;
        this.channel.fail(error);
      });
  }

  /** Puts trials into the queue until it is full, or there are no more. */
  async #feed(): Promise<void> {
    while (this.#open.size < mostQueued && this.#trials !== undefined && !this.#isDone) {
      const next = this.#trials.next();
      if (next.done) this.#trials = undefined;
      else await this.#submit(next.value);
    }
    if (this.#open.size === 0 && this.#trials === undefined) this.stop();
  }

  async #submit(trial: Trial): Promise<void> {
    const known = await readTrialResult(join(this.#folder, trial.id));
    if (known !== undefined) {
      this.channel.push({ type: "trial-done", trial, result: known, ran: false });
      return;
    }
    const job = await toJob(trial, this.#folder, await this.#inputsOf(trial), this.#root);
    this.#open.set(trial.id, trial);
    // A job of this id that is there already, done or not, stays: nothing is run twice.
    await this.#queue.add("trial", job, {
      jobId: jobId(trial.id),
      attempts,
      backoff: { type: "fixed", delay: retryMs },
      removeOnFail: true,
    });
    await this.#look(trial.id);
  }

  /** Settles a trial whose job is done. */
  async #look(id: string): Promise<void> {
    const trial = this.#open.get(id);
    if (trial === undefined) return;
    const job: Job<TrialJob, unknown> | undefined = await this.#queue.getJob(jobId(id));
    const state = await job?.getState();
    if (job === undefined || state === "unknown") {
      // Someone emptied the queue, or a failure was missed.
      this.#open.delete(id);
      await this.#submit(trial);
    } else if (state === "completed") {
      await this.#settle(trial, job);
    }
  }

  async #settle(trial: Trial, job: Job<TrialJob, unknown>): Promise<void> {
    const home = join(this.#folder, trial.id);
    // Where worker and sweep share their files, the worker has written it.
    let result: TrialResult | undefined = await readTrialResult(home);
    if (result === undefined) {
      const parsed = trialResultSchema.safeParse(job.returnvalue);
      if (!parsed.success || parsed.data.id !== trial.id) {
        await job.remove();
        throw new PtuningError("QUEUE_FAILED", `trial ${trial.id}: expected a result, got another value.`);
      }
      result = { ...parsed.data, overrides: trial.overrides };
      await makeFolder(home);
      await writeTrialResult(home, result);
    }
    this.#open.delete(trial.id);
    this.channel.push({ type: "trial-done", trial, result, ran: true });
    await job.remove();
    await this.#feed();
  }

  #inputsOf({ config }: Trial): Promise<Inputs> {
    const { backbone, data, task } = config;
    const key = JSON.stringify([backbone, data, task]);
    const known = this.#inputs.get(key) ?? inputsOf(config);
    this.#inputs.set(key, known);
    return known;
  }
}

/** What a worker could not do is no result: it stops the sweep, which can go on when that is mended. */
function asThrown(reason: string): PtuningError {
  const { code, message, hint } = decodeError(reason);
  const known = errorCodes.find((one): one is ErrorCode => one === code) ?? "QUEUE_FAILED";
  return new PtuningError(known, `worker: ${message}`, hint === undefined ? {} : { hint });
}
