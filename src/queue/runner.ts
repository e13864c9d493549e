import { join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Job, Queue, QueueEvents } from "bullmq";
import * as z from "zod";
import { type ErrorCode, errorCodes, PtuningError } from "../core/index.ts";
import { makeFolder } from "../files/index.ts";
import {
  Channel,
  type Inputs,
  inputsOf,
  isLasting,
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
import { decodeError, jobId, originOf, type TrialJob, toJob } from "./job.ts";

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

/** A trial in the queue. */
interface QueuedTrial {
  readonly trial: Trial;
  readonly job: TrialJob;
}

/** The trials that are in the queue, until each has its result. */
class QueuedTrials {
  readonly channel = new Channel<TrialEvent>();
  readonly #queue: TrialQueue;
  readonly #folder: string;
  readonly #root: string;
  /** By the id of the job. */
  readonly #open = new Map<string, QueuedTrial>();
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
    events.on("completed", ({ jobId: id }) => this.#later(() => this.#look(id)));
    events.on("failed", ({ jobId: id, failedReason }) =>
      this.#later(async () => {
        if (this.#open.has(id)) throw asThrown(failedReason);
      }),
    );
    events.on("progress", ({ jobId: id, data }) => {
      const trial = this.#open.get(id)?.trial;
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
      const job = await this.#queue.getJob(id);
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
    const job = await toJob(trial, this.#folder, await this.#inputsOf(trial), this.#root);
    const known = await readTrialResult(join(this.#folder, trial.id));
    // What the sweep has it has: results of a queue must be of this very job, of whatever version.
    if (
      known !== undefined &&
      (known.origin?.identity ?? originOf(job).identity) === originOf(job).identity
    ) {
      this.channel.push({ type: "trial-done", trial, result: known, ran: false });
      return;
    }
    const id = jobId(job);
    if (this.#open.has(id)) return;
    await this.#clear(id);
    this.#open.set(id, { trial, job });
    // A job of this id that is there already, done or not, stays: nothing is run twice.
    await this.#queue.add("trial", job, {
      jobId: id,
      attempts,
      backoff: { type: "fixed", delay: retryMs },
      removeOnFail: true,
    });
    await this.#look(id);
  }

  /** What is no result for good, or bears the id of another content, does not stand in for the trial. */
  async #clear(id: string): Promise<void> {
    const left = await this.#queue.getJob(id);
    if (left === undefined) return;
    const parsed = trialResultSchema.safeParse(left.returnvalue);
    if (isContent(left.data, id) && !(parsed.success && !isLasting(parsed.data))) return;
    await left.remove().catch(() => {});
  }

  /** Settles a trial whose job is done. */
  async #look(id: string): Promise<void> {
    const open = this.#open.get(id);
    if (open === undefined) return;
    const state = await this.#queue.getJobState(id);
    if (state === "unknown") {
      // Someone emptied the queue, or a failure was missed.
      this.#open.delete(id);
      await this.#submit(open.trial);
    } else if (state === "completed") {
      // Read after its state: it holds the result now.
      const job: Job<TrialJob, unknown> | undefined = await this.#queue.getJob(id);
      if (job !== undefined) await this.#settle(id, open, job);
    }
  }

  async #settle(id: string, { trial, job }: QueuedTrial, done: Job<TrialJob, unknown>): Promise<void> {
    const home = join(this.#folder, trial.id);
    const origin = originOf(job);
    const isOwn = (result: TrialResult | undefined): boolean => isDeepStrictEqual(result?.origin, origin);
    // Where worker and sweep share their files, the worker has written it.
    let result: TrialResult | undefined = await readTrialResult(home);
    if (result === undefined || !isOwn(result)) {
      const parsed = trialResultSchema.safeParse(done.returnvalue);
      if (!parsed.success || parsed.data.id !== trial.id || !isOwn(parsed.data)) {
        // It may be a result that this version does not understand: it is left.
        throw new PtuningError("QUEUE_FAILED", `trial ${trial.id}: expected a result, got another value.`, {
          hint: `The job stays in the queue. Remove it to run the trial again: ${id} in the queue ${queueName}.`,
        });
      }
      result = { ...parsed.data, overrides: trial.overrides };
      await makeFolder(home);
      await writeTrialResult(home, result);
    }
    this.#open.delete(id);
    this.channel.push({ type: "trial-done", trial, result, ran: true });
    await done.remove().catch(() => {});
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

function isContent(data: TrialJob, id: string): boolean {
  try {
    return jobId(data) === id;
  } catch {
    return false;
  }
}

/** What a worker could not do is no result: it stops the sweep, which can go on when that is mended. */
function asThrown(reason: string): PtuningError {
  const { code, message, hint } = decodeError(reason);
  const known = errorCodes.find((one): one is ErrorCode => one === code) ?? "QUEUE_FAILED";
  return new PtuningError(known, `worker: ${message}`, hint === undefined ? {} : { hint });
}
