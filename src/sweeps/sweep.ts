import type { RunConfig, SearchConfig } from "../config/index.ts";
import { PtuningError } from "../core/index.ts";
import { packageVersion } from "../files/index.ts";
import type { SearchReport } from "../report/index.ts";
import {
  defineTrial,
  objective,
  type Trial,
  type TrialEvent,
  type TrialResult,
  type TrialRunner,
} from "../trials/index.ts";
import { openSweep, type SweepFolder } from "./folder.ts";
import { presets } from "./presets.ts";
import { exemplars, gridPoints, hasOnlyChoices, type Point } from "./space.ts";
import { type Search, strategies } from "./strategies.ts";
import { writeSweep } from "./write.ts";

/** What is searched, where, and by whom. */
export interface SweepOptions {
  /** With absolute paths; `search` says what is tried. */
  readonly config: RunConfig;
  readonly folder: string;
  /** Where the values of a key come from, for messages; default `search.space.KEY`. */
  readonly sourceOf?: (key: string) => string;
  /** Runs the trials. */
  readonly run: TrialRunner;
  /** Stops after the current steps; the sweep can go on later. */
  readonly signal?: AbortSignal;
}

/** A sweep is set up. */
export interface SweepStartEvent {
  readonly type: "sweep-start";
  readonly folder: string;
  readonly strategy: string;
  /** Keys that vary. */
  readonly keys: readonly string[];
  /** Trials of the whole search, where that is known. */
  readonly total?: number;
  /** Results that were there already. */
  readonly known: number;
  /** What the user should know of them. */
  readonly warnings: readonly string[];
}

/** A sweep ended, or was stopped; its results are written. */
export interface SweepDoneEvent {
  readonly type: "sweep-done";
  readonly reason: "finished" | "budget" | "stopped";
  readonly report: SearchReport;
  /** Names of the written files, in the folder. */
  readonly files: readonly string[];
}

/** Everything that a sweep tells. */
export type SweepEvent = SweepStartEvent | TrialEvent | SweepDoneEvent;

/** How often the searched time is saved: what a kill may lose of the budget. */
const saveSeconds = 5;

/**
 * Searches keys of a configuration. State is on disk: the same call goes on after any interruption, and no trial with a
 * result is run again.
 * @throws CONFIG_INVALID if there is nothing to search or a value does not fit its key, before anything runs; and what
 *   opening the folder and running trials throw
 */
export async function* sweep(options: SweepOptions): AsyncGenerator<SweepEvent> {
  const { config } = options;
  const search = searchOf(config.search);
  const strategyName = search.strategy ?? (hasOnlyChoices(search.space) ? "grid" : "random");
  const total = strategies[strategyName].count(search);
  checkValues(config, search, strategyName, options.sourceOf);
  const keys = variedKeys(search, strategyName === "halving" ? search.halving!.resource : undefined);
  const folder = await openSweep(options.folder, config);
  try {
    yield {
      type: "sweep-start",
      folder: options.folder,
      strategy: strategyName,
      keys,
      ...(total !== undefined && { total }),
      known: folder.known.size,
      warnings: folder.doubts,
    };
    yield* run(options, folder, search, strategyName, keys);
  } finally {
    await folder.close();
  }
}

async function* run(
  { config, run: runTrials, signal = new AbortController().signal }: SweepOptions,
  folder: SweepFolder,
  search: Search,
  strategy: keyof typeof strategies,
  keys: readonly string[],
): AsyncGenerator<SweepEvent> {
  const results = new Map<string, TrialResult>();
  const planned = new Map<string, Trial>();
  const budget = createBudget(folder, search);
  const trialOf = (point: Point): Trial => {
    const trial = defineTrial(config, point);
    planned.set(trial.id, trial);
    return trial;
  };
  const batches = strategies[strategy].batches(search);
  const scoreOf = (point: Point): number | undefined => {
    const result = results.get(defineTrial(config, point).id);
    return result && objective(result);
  };
  let batch = batches.next(scoreOf);
  while (!batch.done && !budget.isOver && !signal.aborted) {
    const trials = budget.take(batch.value, trialOf, folder.known);
    for await (const event of runTrials(trials, folder.trials, signal)) {
      if (event.type === "trial-done") results.set(event.trial.id, event.result);
      await budget.save(event.type === "trial-done");
      yield event;
    }
    batch = batches.next(scoreOf);
  }
  await budget.save(true);
  const reason = signal.aborted ? "stopped" : budget.isOver ? "budget" : "finished";
  const { report, files } = await writeSweep({
    folder,
    config,
    strategy,
    keys,
    // In the order of the plan, whoever was done first.
    trials: [...planned.values()].flatMap((trial) => {
      const result = results.get(trial.id);
      return result === undefined ? [] : [{ trial, result }];
    }),
    seconds: budget.seconds,
    ...(strategy === "halving" && { resource: search.halving!.resource }),
  });
  yield { type: "sweep-done", reason, report, files };
}

/** Results of two versions in one table would be compared. @throws INPUT_CHANGED */
function expectOneVersion({ folder, known }: SweepFolder): void {
  const versions = [...known.values()].flatMap((result) =>
    result.status === "finished" ? (result.versions.ptuning ?? []) : [],
  );
  const other = versions.find((version) => version !== packageVersion());
  if (other === undefined) return;
  throw new PtuningError(
    "INPUT_CHANGED",
    `${folder}: expected results of ptuning ${packageVersion()}, got some of ${other}.`,
    {
      hint: "Two versions may compute other numbers: go on with the one that the sweep began with, or choose another --output. What is there is kept.",
    },
  );
}

/** Counts trials and time. */
function createBudget(folder: SweepFolder, { runs, minutes }: Search) {
  const { state, save } = folder;
  const started = performance.now();
  const most = {
    runs: runs ?? Number.POSITIVE_INFINITY,
    seconds: (minutes ?? Number.POSITIVE_INFINITY) * 60,
  };
  const seconds = (): number => state.seconds + (performance.now() - started) / 1000;
  let taken = 0;
  let isOver = false;
  let saved = performance.now();
  return {
    get seconds() {
      return seconds();
    },
    /** Whether a trial was left out. */
    get isOver() {
      return isOver;
    },
    *take(
      points: Iterable<Point>,
      trialOf: (point: Point) => Trial,
      known: ReadonlyMap<string, TrialResult>,
    ): Generator<Trial> {
      for (const point of points) {
        const trial = trialOf(point);
        // A result that is there costs no time: time may be up before it is taken again.
        isOver ||= taken >= most.runs || (seconds() >= most.seconds && !known.has(trial.id));
        if (isOver) return;
        if (!known.has(trial.id)) expectOneVersion(folder);
        taken++;
        yield trial;
      }
    },
    async save(now: boolean): Promise<void> {
      if (!now && performance.now() - saved < saveSeconds * 1000) return;
      saved = performance.now();
      await save(seconds());
    },
  };
}

/** The search with its preset's space, which its own keys win over. */
function searchOf(search: SearchConfig | undefined): Search {
  const space = { ...(search?.preset && presets[search.preset]), ...search?.space };
  if (search === undefined || Object.keys(space).length === 0) {
    throw new PtuningError("CONFIG_INVALID", "search: expected keys to search, got none.", {
      hint: "For example: --grid training.learningRate=1e-3,5e-3",
    });
  }
  return { ...search, space };
}

/** Mistakes should be found before the first trial, not in the tenth. */
function checkValues(
  config: RunConfig,
  { space }: Search,
  strategy: string,
  sourceOf: (key: string) => string = (key) => `search.space.${key}`,
): void {
  const points =
    strategy === "grid"
      ? gridPoints(space)
      : Object.entries(space).flatMap(([key, parameter]) =>
          exemplars(parameter).map((value): Point => ({ [key]: value })),
        );
  for (const point of points) defineTrial(config, point, sourceOf);
}

/** Keys of more than one value. */
function variedKeys({ space }: Search, resource: string | undefined): string[] {
  const varied = Object.entries(space).filter(([, values]) => !Array.isArray(values) || values.length > 1);
  const keys = varied.map(([key]) => key).filter((key) => key !== resource);
  return resource === undefined ? keys : [...keys, resource];
}
