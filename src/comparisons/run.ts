import { describeMachine } from "../engine/index.ts";
import { packageVersion } from "../files/index.ts";
import type { ComparedRun, Comparison } from "../report/index.ts";
import { type RunTrialsOptions, runTrials, type TrialEvent, type TrialResult } from "../trials/index.ts";
import type { ComparisonFolder } from "./folder.ts";
import type { ComparisonPlan, PlannedVariant } from "./plan.ts";

/** A run of a comparison, by what it is a run of. */
export interface RunName {
  readonly variant: string;
  readonly seed: number;
}

/** Something happened in one of the runs. */
export interface ComparisonRunEvent {
  readonly type: "run";
  readonly run: RunName;
  readonly event: TrialEvent;
}

/** The comparison as it stands: at first, and whenever a run has ended. */
export interface ComparisonStateEvent {
  readonly type: "comparison";
  readonly comparison: Comparison;
  /** Runs that ended, of all. */
  readonly done: number;
  readonly total: number;
}

/** Everything that a comparison tells. */
export type ComparisonEvent = ComparisonRunEvent | ComparisonStateEvent;

/**
 * Makes the runs of a comparison that have no result yet and keeps table, figure and page up to date. A failed run is
 * a result; runs that were stopped go on.
 * @throws STORAGE_FULL, ENGINE_UNAVAILABLE
 */
export async function* runComparison(
  plan: ComparisonPlan,
  folder: ComparisonFolder,
  options: Omit<RunTrialsOptions, "folder">,
): AsyncGenerator<ComparisonEvent> {
  const named = new Map<string, RunName>();
  for (const { name, runs } of plan.variants) {
    for (const { seed, trial } of runs)
      if (!named.has(trial.id)) named.set(trial.id, { variant: name, seed });
  }
  const results = new Map<string, TrialResult>();
  const total = plan.variants.reduce((sum, { runs }) => sum + runs.length, 0);
  const state = (): ComparisonStateEvent => {
    const comparison = comparisonOf(plan, results);
    const runs = comparison.variants.flatMap((variant) => variant.runs);
    return {
      type: "comparison",
      comparison,
      done: runs.filter((run) => run.state !== "waiting").length,
      total,
    };
  };
  yield state();
  for await (const event of runTrials(inTurn(plan.variants), { ...options, folder: folder.trials })) {
    yield { type: "run", run: named.get(event.trial.id)!, event };
    if (event.type !== "trial-done" || results.has(event.trial.id)) continue;
    results.set(event.trial.id, event.result);
    const now = state();
    await folder.write(now.comparison);
    yield now;
  }
}

/** All variants with the first seed, then with the second: a comparison that is stopped has something of everything. */
function* inTurn(variants: readonly PlannedVariant[]): Generator<PlannedVariant["runs"][number]["trial"]> {
  const most = Math.max(...variants.map(({ runs }) => runs.length));
  for (let i = 0; i < most; i++) {
    for (const { runs } of variants) if (runs[i] !== undefined) yield runs[i]!.trial;
  }
}

function comparisonOf(plan: ComparisonPlan, results: ReadonlyMap<string, TrialResult>): Comparison {
  const { variants, formerBackbone, ...facts } = plan;
  return {
    ...facts,
    variants: variants.map(({ name, series, at, runs }) => ({
      name,
      ...(series !== undefined && { series }),
      ...(at !== undefined && { at }),
      runs: runs.map(({ seed, trial }) => runOf(seed, trial.id, results.get(trial.id))),
    })),
    hardware: describeMachine(),
    createdAt: new Date().toISOString(),
    version: packageVersion(),
  };
}

function runOf(seed: number, id: string, result: TrialResult | undefined): ComparedRun {
  if (result === undefined) return { seed, id, state: "waiting" };
  if (result.status === "failed") return { seed, id, state: "failed", error: result.error };
  const {
    dev,
    test,
    trainableTotal,
    secondsPerEpoch,
    secondsToBest,
    peakMemoryBytes,
    adapterBytes,
    precision,
  } = result;
  return {
    ...{ seed, id, state: "finished" },
    ...(dev && { dev }),
    ...(test && { test }),
    ...(secondsToBest !== undefined && { secondsToBest }),
    ...{ trainable: trainableTotal, secondsPerEpoch, peakMemoryBytes, fileBytes: adapterBytes, precision },
  };
}
