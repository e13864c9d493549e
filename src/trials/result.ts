import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { type ErrorCode, PtuningError } from "../core/index.ts";
import { writeFileAtomic } from "../files/index.ts";
import type { Scores } from "../metrics/index.ts";
import { readRunConfig, readRunLog, readRunResult } from "../runs/index.ts";
import { familyOf } from "../tasks/index.ts";
import type { Trial } from "./trial.ts";

/** What a finished trial measured. */
export interface TrialFigures {
  /** The dev score that chose the state, and by which trials are compared; `loss` is the dev loss. */
  readonly selectBy: string;
  readonly lowerIsBetter: boolean;
  /** Dev scores of the state that was kept, `loss` among them; absent without a dev set. */
  readonly dev?: Scores;
  /** Dev scores with fp32 weights, after a run whose frozen layers were rounded. */
  readonly exact?: Scores;
  readonly test?: Scores;
  /** Trainable parameters by part. */
  readonly trainable: Readonly<Record<string, number>>;
  readonly trainableTotal: number;
  /** Trainable parameters as a share of all. */
  readonly share: number;
  readonly steps: number;
  readonly epochs: number;
  /** Time of updates and evaluations, over all processes that the trial took. */
  readonly seconds: number;
  /** Time of the updates of one epoch, without evaluations. */
  readonly secondsPerEpoch: number;
  /** Time of updates and evaluations until the state that was kept. */
  readonly secondsToBest?: number;
  /** Highest resident memory of the process that ended the trial. */
  readonly peakMemoryBytes: number;
  /** Size of the saved adapter's folder. */
  readonly adapterBytes: number;
  readonly precision: string;
  readonly engine: string;
  readonly hardware: string;
  readonly versions: Readonly<Record<string, string>>;
}

/** Why a trial has no figures. */
export interface TrialError {
  /** Of the {@link PtuningError}, `DEFECT`, or `KILLED`. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Of what a result is: two of one origin are interchangeable. */
export interface TrialOrigin {
  /** Hash over configuration, data, backbone and folder, none of it bound to one machine. */
  readonly identity: string;
  /** Version of this package: others may compute other numbers. */
  readonly version: string;
}

interface TrialIdentity {
  readonly id: string;
  /** Of trials that ran through a queue. */
  readonly origin?: TrialOrigin;
  readonly overrides: Readonly<Record<string, unknown>>;
  /** Name of the run folder inside the trial's. */
  readonly run: string;
}

/** A trial that reached its end. */
export interface FinishedTrial extends TrialIdentity, TrialFigures {
  readonly status: "finished";
}

/** A trial that cannot be run to its end. */
export interface FailedTrial extends TrialIdentity {
  readonly status: "failed";
  readonly error: TrialError;
}

/** The one record of a trial: the content of its `result.json`. */
export type TrialResult = FinishedTrial | FailedTrial;

const scores = z.record(z.string(), z.number());
const origin = z.object({ identity: z.string(), version: z.string() }).exactOptional();
const identity = { id: z.string(), origin, overrides: z.record(z.string(), z.unknown()), run: z.string() };

/** Checks a record that comes from elsewhere. */
export const trialResultSchema: z.ZodType<TrialResult> = z.discriminatedUnion("status", [
  z.object({
    ...identity,
    status: z.literal("finished"),
    selectBy: z.string(),
    lowerIsBetter: z.boolean(),
    dev: scores.exactOptional(),
    exact: scores.exactOptional(),
    test: scores.exactOptional(),
    trainable: scores,
    trainableTotal: z.number(),
    share: z.number(),
    steps: z.number(),
    epochs: z.number(),
    seconds: z.number(),
    secondsPerEpoch: z.number(),
    secondsToBest: z.number().exactOptional(),
    peakMemoryBytes: z.number(),
    adapterBytes: z.number(),
    precision: z.string(),
    engine: z.string(),
    hardware: z.string(),
    versions: z.record(z.string(), z.string()),
  }),
  z.object({
    ...identity,
    status: z.literal("failed"),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() }),
  }),
]);

const resultName = "result.json";

/** Errors that say something of the trial itself, so that it would end in them again, anywhere. */
const lastingErrors: ReadonlySet<string> = new Set<ErrorCode | "KILLED">([
  ...([
    "CONFIG_INVALID",
    "OPTION_INVALID",
    "DATA_INVALID",
    "SEQUENCE_TOO_LONG",
    "TRAINING_DIVERGED",
  ] as const),
  ...([
    "BACKBONE_UNSUPPORTED",
    "GRAPH_INVALID",
    "ADAPTER_INVALID",
    "ADAPTER_INCOMPATIBLE",
    "KILLED",
  ] as const),
]);

/**
 * Whether a result is one for good. What failed by a defect, or by what a machine lacked at the time, is told but not
 * recorded: the trial runs again when it is next asked for.
 */
export function isLasting(result: TrialResult): boolean {
  return result.status === "finished" || lastingErrors.has(result.error.code);
}

/** The record of a trial, if there is one. @param folder of the trial */
export async function readTrialResult(folder: string): Promise<TrialResult | undefined> {
  const text = await readFile(join(folder, resultName), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const result = JSON.parse(text) as TrialResult;
  return isLasting(result) ? result : undefined;
}

/** Writes the record of a trial, as a whole; nothing where it is none for good. */
export async function writeTrialResult(folder: string, result: TrialResult): Promise<void> {
  if (!isLasting(result)) return;
  await writeFileAtomic(join(folder, resultName), `${JSON.stringify(result, null, 2)}\n`);
}

/**
 * The score by which trials are compared: higher is better; none of failed trials and without a dev set.
 */
export function objective(result: TrialResult): number | undefined {
  if (result.status === "failed") return undefined;
  const score = result.dev?.[result.selectBy];
  return score === undefined || !result.lowerIsBetter ? score : -score;
}

/**
 * The record of a trial whose run is finished, from what the run left.
 * @param folder of the trial
 * @param run name of the run folder in it
 * @throws RUN_INVALID if the run is not finished
 */
export async function collectResult(folder: string, run: string, trial: Trial): Promise<FinishedTrial> {
  const place = join(folder, run);
  const [config, result, { start, steps, evaluations }] = await Promise.all([
    readRunConfig(place),
    readRunResult(place),
    readRunLog(place),
  ]);
  if (!("task" in config))
    throw new PtuningError("RUN_INVALID", `${place}: expected a run of one task, got one of several.`);
  if (result === undefined || start === undefined)
    throw new PtuningError("RUN_INVALID", `${place}: expected a finished run, got an unfinished one.`);
  const family = familyOf(config.task.type ?? "");
  const { selectBy, precision } = start.settings;
  const { lowerIsBetter = [] } = family.create(family.sample);
  const { best, exact, test, peakMemoryBytes, hardware, versions } = result;
  const secondsUntil = (step: number): number =>
    [...steps, ...evaluations].reduce((sum, event) => sum + (event.step <= step ? event.seconds : 0), 0);
  const epochs = result.steps / start.stepsPerEpoch;
  return {
    id: trial.id,
    overrides: trial.overrides,
    run,
    status: "finished",
    selectBy,
    lowerIsBetter: selectBy === "loss" || lowerIsBetter.includes(selectBy),
    ...(best && { dev: { ...best.scores, loss: best.loss } }),
    ...(exact && { exact }),
    ...(test && { test }),
    trainable: start.inventory.trainable,
    trainableTotal: start.inventory.trainableTotal,
    share: start.inventory.share,
    steps: result.steps,
    epochs,
    seconds: secondsUntil(Number.POSITIVE_INFINITY),
    secondsPerEpoch: steps.reduce((sum, { seconds }) => sum + seconds, 0) / epochs,
    ...(best && { secondsToBest: secondsUntil(best.step) }),
    peakMemoryBytes,
    adapterBytes: await folderBytes(join(place, "adapter")),
    precision,
    engine: start.engine,
    hardware,
    versions,
  };
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true });
  const sizes = await Promise.all(
    entries.map(async (entry) => {
      const status = await stat(join(folder, entry));
      return status.isFile() ? status.size : 0;
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
