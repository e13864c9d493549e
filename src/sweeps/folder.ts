import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { formatConfig, parseConfig, type RunConfig } from "../config/index.ts";
import { PtuningError } from "../core/index.ts";
import {
  expectOwnFolder,
  holdFolder,
  makeFolder,
  readText,
  sweepTemporaries,
  writeFileAtomic,
} from "../files/index.ts";
import { type Inputs, lookAtInputs, readTrialResult, type TrialResult } from "../trials/index.ts";

/** What the folder of a sweep holds. */
export const names = {
  config: "sweep.yaml",
  state: "sweep.json",
  trials: "trials",
  best: "best.yaml",
  json: "results.json",
  markdown: "results.md",
  html: "report.html",
  map: "heat-map.svg",
  lock: "sweep.lock",
} as const;

/** What a sweep has to know to go on, beside the results of its trials. */
interface SweepState {
  readonly inputs: Inputs;
  /** Time that was searched, in all processes that the sweep took. */
  readonly seconds: number;
}

const stateSchema = z.object({
  inputs: z.object({ data: z.string(), backbone: z.string() }),
  seconds: z.number().nonnegative(),
});

/** A sweep on disk, held by this process. */
export interface SweepFolder {
  readonly folder: string;
  readonly trials: string;
  readonly state: SweepState;
  /** Results that were there already, by id. */
  readonly known: ReadonlyMap<string, TrialResult>;
  /** What could not be told of what was there, for people. */
  readonly doubts: readonly string[];
  save(seconds: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the folder of a sweep, new or begun. The search itself may be another than before: what has a result is not run
 * again.
 * @throws OUTPUT_EXISTS if it holds a sweep of another configuration, or other files; INPUT_CHANGED if data or backbone are not those
 *   that the sweep began with; LOCKED if another process uses it
 */
export async function openSweep(folder: string, config: RunConfig): Promise<SweepFolder> {
  const expect = (): Promise<void> => expectSweepOrNothing(folder);
  return holdFolder(folder, { what: "sweep", lock: names.lock, expect }, async (release) => {
    const begun = await readSweepConfig(folder).catch(() => undefined);
    if (begun !== undefined && !isDeepStrictEqual(decisive(begun), decisive(config))) {
      throw new PtuningError(
        "OUTPUT_EXISTS",
        `${folder}: expected no sweep there, got one of another configuration.`,
        {
          hint: "Choose another --output.",
        },
      );
    }
    const { inputs, formerBackbone } = await lookAtInputs(config);
    const state = (await readState(folder)) ?? { inputs, seconds: 0 };
    const isFormer = formerBackbone !== undefined && state.inputs.backbone === formerBackbone;
    const known = isFormer ? { ...state.inputs, backbone: inputs.backbone } : state.inputs;
    if (!isDeepStrictEqual(known, inputs)) {
      throw new PtuningError(
        "INPUT_CHANGED",
        `${folder}: expected the data and the backbone that the sweep began with, got others.`,
        { hint: "Results on other inputs cannot be compared. Choose another --output." },
      );
    }
    await sweepTemporaries(folder, { isSole: true });
    const save = (seconds: number): Promise<void> =>
      writeFileAtomic(join(folder, names.state), `${JSON.stringify({ inputs, seconds })}\n`);
    // The state first: by both a sweep is told from a configuration of the user's that has its name.
    await save(state.seconds);
    await writeFileAtomic(join(folder, names.config), formatConfig(config));
    const trials = join(folder, names.trials);
    await makeFolder(trials);
    const doubts = isFormer ? [formerDoubt] : [];
    return { folder, trials, state, known: await readResults(trials), doubts, save, close: release };
  });
}

const formerDoubt =
  "The sweep was begun by an earlier version, whose fingerprint of the backbone saw a part of the weights: whether all of them " +
  "are those that it began with cannot be told.";

/**
 * Refuses a folder that holds anything but a sweep: its results replace files of their names.
 * @throws OUTPUT_EXISTS
 */
async function expectSweepOrNothing(folder: string): Promise<void> {
  const isOurs = async (): Promise<boolean> => {
    if ((await readState(folder).catch(() => undefined)) === undefined) return false;
    // Killed between the two, it has nothing but its state.
    const isBegun = await readSweepConfig(folder).then(
      () => true,
      () => false,
    );
    return isBegun || (await readdir(folder)).every((name) => /^sweep\.(json|lock)$|^\./.test(name));
  };
  await expectOwnFolder(folder, { what: "a sweep", traces: [names.lock], isOurs });
}

/** The configuration of a sweep, with its search. @throws RUN_INVALID if there is none */
export async function readSweepConfig(folder: string): Promise<RunConfig> {
  const path = join(folder, names.config);
  const text = await readText(path).catch((cause: unknown) => {
    throw new PtuningError("RUN_INVALID", `${folder}: expected a sweep, got no ${names.config} there.`, {
      hint: "Check the path.",
      cause,
    });
  });
  return parseConfig({ text, where: path });
}

/** What of a configuration decides the results of its trials. */
function decisive({ search, engine, report, output, ...rest }: RunConfig): object {
  return rest;
}

async function readState(folder: string): Promise<SweepState | undefined> {
  const text = await readFile(join(folder, names.state), "utf8").catch(() => undefined);
  return text === undefined ? undefined : stateSchema.parse(JSON.parse(text));
}

async function readResults(trials: string): Promise<Map<string, TrialResult>> {
  const results = new Map<string, TrialResult>();
  for (const id of await readdir(trials)) {
    const result = await readTrialResult(join(trials, id));
    if (result !== undefined) results.set(id, result);
  }
  return results;
}
