import { copyFile, cp, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { formatConfig } from "../config/index.ts";
import { type ErrorCode, PtuningError } from "../core/index.ts";
import { makeFolder, writeFileAtomic, writeFolderAtomic } from "../files/index.ts";
import { isRunElsewhere, runStatus } from "../runs/index.ts";
import { type ClaimedRun, claimRun, configOf, runName } from "./claim.ts";
import type { TrialEvent } from "./events.ts";
import type { Inputs } from "./inputs.ts";
import { type ProcessEnd, trainProcess } from "./process.ts";
import {
  collectResult,
  readTrialResult,
  type TrialError,
  type TrialOrigin,
  type TrialResult,
  writeTrialResult,
} from "./result.ts";
import type { Trial } from "./trial.ts";

/** Where a trial runs, and how. */
export interface RunTrialOptions {
  /** Folder of all trials; each has a folder named by its id there. */
  readonly folder: string;
  /** Threads of its engine, unless its configuration says. */
  readonly threads: number;
  /** Stops the trial after its current step; it can go on later. */
  readonly signal: AbortSignal;
  /**
   * How long to wait for a process of another machine that holds the trial's run, before its saved state is copied and
   * the trial goes on with the copy: nobody here can tell whether it still works. Processes of this machine are waited
   * for as long as they run.
   */
  readonly lockWaitMs?: number;
  /** The trial runs on nothing but these. */
  readonly inputs?: Inputs;
  /**
   * Where a trial may meet others under its id, those of a queue: results and runs of another origin are not taken, but
   * left, and the trial runs beside them.
   */
  readonly origin?: TrialOrigin;
  /** A process of the trial that tells nothing for so long is ended, and the trial with it. Default: never. */
  readonly silenceMs?: number;
}

/** Errors of the machine, not of the trial: it would be wrong to record them as its result. */
const machineErrors: ReadonlySet<string> = new Set<ErrorCode>([
  ...(["STORAGE_FULL", "OUTPUT_UNWRITABLE", "ENGINE_UNAVAILABLE", "INPUT_CHANGED"] as const),
  ...(["DATA_NOT_FOUND", "BACKBONE_NOT_FOUND", "DOWNLOAD_FAILED"] as const),
]);

/** Processes of one trial that may be killed from outside before it counts as failed. */
const mostKills = 3;

/** Exit codes of a run that was asked to stop and can go on. */
const stoppedCodes: ReadonlySet<number | null> = new Set([130, 143]);

/**
 * Runs a trial to its end, going on from where it was stopped, and records the result; one that has a result is not
 * run again.
 * @returns the result; nothing if it was stopped
 * @throws STORAGE_FULL, OUTPUT_UNWRITABLE, ENGINE_UNAVAILABLE, INPUT_CHANGED, DATA_NOT_FOUND, BACKBONE_NOT_FOUND, DOWNLOAD_FAILED: nothing is
 *   recorded then
 */
export async function* runTrial(
  trial: Trial,
  { folder, threads, signal, lockWaitMs = 60_000, inputs, origin, silenceMs }: RunTrialOptions,
): AsyncGenerator<TrialEvent, TrialResult | undefined> {
  const home = resolve(folder, trial.id);
  const known = await readTrialResult(home);
  if (known !== undefined && (origin === undefined || isDeepStrictEqual(known.origin, origin))) {
    yield { type: "trial-done", trial, result: known, ran: false };
    return known;
  }
  await makeFolder(home);
  const config = formatConfig({ ...trial.config, engine: { threads, ...trial.config.engine } });
  if (origin === undefined) await writeFileAtomic(join(home, "trial.yaml"), config);
  const claim = (): Promise<ClaimedRun> =>
    origin === undefined ? latestRun(home) : claimRun(home, origin, config);
  const of = origin === undefined ? {} : { origin };
  const expected = inputs ? ["--expect-data", inputs.data, "--expect-backbone", inputs.backbone] : [];
  let error: TrialError | undefined;
  let kills = 0;
  let lockedSince: number | undefined;
  while (error === undefined) {
    const { run, configPath } = await claim();
    const place = join(home, run);
    const status = await runStatus(place);
    if (status === "finished") {
      const result = { ...(await collectResult(home, run, trial)), ...of };
      await writeTrialResult(home, result);
      yield { type: "trial-done", trial, result, ran: true };
      return result;
    }
    if (signal.aborted) return undefined;
    const resumed = status === "unfinished";
    yield { type: "trial-start", trial, resumed };
    const args = resumed ? ["--resume", place] : [configPath, "--output", place];
    const end: ProcessEnd = yield* relay(
      trial,
      trainProcess([...args, ...expected], home, signal, silenceMs),
    );
    if (end.error?.code === "LOCKED") {
      lockedSince ??= Date.now();
      const isOverdue = Date.now() - lockedSince >= lockWaitMs && (await isRunElsewhere(place));
      if (!isOverdue) await delay(250, undefined, { signal }).catch(() => {});
      else {
        const copy = await adopt(home, run);
        if (origin !== undefined) await copyFile(configPath, configOf(home, copy));
        lockedSince = undefined;
      }
    } else if (end.error?.code === "OUTPUT_EXISTS" && !resumed) {
      if ((await runStatus(place)) === "none") throw asThrown(end.error);
      // A process that outlived its sweep has begun the run meanwhile: it is gone on with, as if found so.
    } else if (end.error?.code === "RUN_INVALID" && resumed) {
      // A state that cannot be gone on from, of other files or damaged: the trial begins anew.
      if ((await runStatus(place)) === "unfinished") await rm(place, { recursive: true });
    } else if (end.error !== undefined) {
      if (machineErrors.has(end.error.code)) throw asThrown(end.error);
      error = end.error;
    } else if (end.signal !== null || stoppedCodes.has(end.code)) {
      if (signal.aborted) return undefined;
      kills++;
      if (kills === mostKills) error = killed(end);
    } else if (end.code !== 0) {
      error = { code: "DEFECT", message: end.stderr.trim() || `the process ended with ${end.code}.` };
    }
  }
  const { id, overrides } = trial;
  const { run } = await claim();
  const result: TrialResult = { id, ...of, overrides, run, status: "failed", error };
  await writeTrialResult(home, result);
  yield { type: "trial-done", trial, result, ran: true };
  return result;
}

async function* relay(
  trial: Trial,
  events: ReturnType<typeof trainProcess>,
): AsyncGenerator<TrialEvent, ProcessEnd> {
  try {
    for (;;) {
      const { value, done } = await events.next();
      if (done) return value;
      yield { type: "trial-progress", trial, event: value };
    }
  } finally {
    // Nobody takes events any more: the process ends.
    await events.return({ code: null, signal: null, stderr: "" });
  }
}

/** `run`, or the latest beside it: `run-2`, `run-3`, … */
async function latestRun(home: string): Promise<ClaimedRun> {
  const run = runName(await latestNumber(home));
  return { run, configPath: join(home, "trial.yaml") };
}

async function latestNumber(home: string): Promise<number> {
  return Math.max(1, ...(await readdir(home)).map((name) => Number(/^run-(\d+)$/.exec(name)?.[1] ?? 1)));
}

/** Copies what a run has saved, without its lock, into a run that follows all others. */
async function adopt(home: string, run: string): Promise<string> {
  const next = runName((await latestNumber(home)) + 1);
  await writeFolderAtomic(join(home, next), (copy) =>
    cp(join(home, run), copy, {
      recursive: true,
      // Neither the lock nor what is only half written.
      filter: (source) => !/(\.lock[^/\\]*|\.tmp)$/.test(source),
    }),
  );
  return next;
}

function killed({ signal, code, stderr }: ProcessEnd): TrialError {
  const how = signal === null ? `exit code ${code}` : signal;
  return {
    code: "KILLED",
    message:
      `the process of the trial was ended ${mostKills} times from outside, last by ${how}. ${stderr}`.trim(),
    hint: "Too little memory is the usual reason: fewer workers, or training.memoryLimit.",
  };
}

function asThrown({ code, message, hint }: TrialError): PtuningError {
  return new PtuningError(code as ErrorCode, message, hint === undefined ? {} : { hint });
}
