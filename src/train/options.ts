import type { Backbone } from "../backbones/index.ts";
import { closest, PtuningError, parseOptions, withoutUndefined } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import { type Method, methodDefaults, precisionFor } from "../methods/index.ts";
import { headParameter, longestInput, type ModelParts } from "../model/index.ts";
import type { FormName } from "../nn/index.ts";
import { optimizers, type Schedule } from "../optim/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { settingDefaults, settingNames, type TrainSettings, trainSettings } from "./settings.ts";
import type { Start } from "./start.ts";
import type { TrainingState } from "./state.ts";

/** What every run is told beside its settings. */
interface RunOptions extends TrainSettings {
  readonly backbone: Backbone;
  readonly method: Method;
  /** Takes prompt or head over from another run. Default: both start at random. */
  readonly start?: Start;
  /** Continues a run from where it was saved; everything else must be as it was. */
  readonly resume?: TrainingState;
  /** Ends the run, with a checkpoint once it has started; see `train`. */
  readonly signal?: AbortSignal;
  /** Learning rate of each update in place of `learningRate` and `schedule`, for runs that are not kept. */
  readonly rateAt?: Schedule;
}

/** What is trained on what, and how. */
export interface TrainOptions<E = unknown, N extends Encoded = Encoded, P = unknown> extends RunOptions {
  readonly task: Task<E, N, P>;
  readonly data: Dataset<E>;
}

/** One of several tasks that share a prompt. */
export interface TrainedTask {
  readonly task: Task;
  readonly data: Dataset<unknown>;
  /** How often it is trained, beside its size; default 1. */
  readonly weight?: number;
  /** Its score in the mean that decides which state is kept. Default: the task's own. */
  readonly selectBy?: string;
}

/** Several tasks that share what the method trains, with a head for each. */
export interface MultiTaskOptions extends RunOptions {
  /** Tasks by the names of their heads: letters, digits, `-` and `_`. */
  readonly tasks: Readonly<Record<string, TrainedTask>>;
}

/** A run of one task or of several. */
export type AnyTrainOptions = TrainOptions | MultiTaskOptions;

/** A task with its name; where it is the only one it has none. */
export interface NamedTask extends TrainedTask {
  readonly name: string;
}

/**
 * The tasks of a run: one without a name, or those that are listed.
 * @throws OPTION_INVALID
 */
export function tasksOf(options: AnyTrainOptions): readonly NamedTask[] {
  if (!("tasks" in options)) return [{ name: "", task: options.task, data: options.data }];
  const tasks = Object.entries(options.tasks).map(([name, task]) => ({ name, ...task }));
  if (tasks.length === 0) throw invalid("tasks", "at least one", "none");
  if (options.method.savedAs !== "adapter") {
    throw invalid("method", "one that is saved as an adapter for several tasks", options.method.name);
  }
  for (const { name, task, weight = 1, selectBy = task.selectBy } of tasks) {
    if (!/^[\w-]+$/.test(name)) throw invalid("tasks", "names of letters, digits, - and _", `"${name}"`);
    if (options.sampling === "round-robin" && weight !== 1) {
      throw invalid(`tasks.${name}.weight`, "none, as tasks take turns", weight);
    }
    if (!(weight > 0)) throw invalid(`tasks.${name}.weight`, "a number above 0", weight);
    const higher = selectable(task).filter((score) => !task.lowerIsBetter?.includes(score));
    if (!higher.includes(selectBy)) {
      throw invalid(`tasks.${name}.selectBy`, `one of ${higher.join(", ")}`, selectBy);
    }
  }
  return tasks;
}

/** Name of the score that is the mean over tasks of the score that each selects by. */
export const meanScore = "mean";

/** Settings with every default filled in; `auto` has become what it stands for on the backbone's engine. */
export type ResolvedSettings = Required<TrainSettings> & { readonly precision: FormName };

/** A run should make about this many updates: fewer leave small data sets half learnt, more are time lost. */
const targetSteps = 1500;
const fewestEpochs = 3;
const mostEpochs = 30;

/** Epochs that make about {@link targetSteps} updates, within bounds. */
function defaultEpochs(stepsPerEpoch: number): number {
  const epochs = Math.round(targetSteps / stepsPerEpoch);
  return Math.min(mostEpochs, Math.max(fewestEpochs, epochs));
}

/** Longer texts are rare in classification and cost much: the default cuts here, unless the task has its own. */
const defaultMaxLength = 256;

/**
 * Fills in the defaults.
 * @throws OPTION_INVALID naming the setting
 */
export function resolveSettings(options: AnyTrainOptions, parts: ModelParts): ResolvedSettings {
  const { backbone, method } = options;
  const given = givenSettings(options);
  const tasks = tasksOf(options);
  const batchSize = given.batchSize ?? settingDefaults.batchSize;
  const suited = methodDefaults(
    method,
    tasks.map(({ task }) => task.head),
  );
  const usual = suited.optimizer ?? settingDefaults.optimizer;
  const optimizer = given.optimizer ?? usual;
  const usualSettings = {
    ...settingDefaults,
    epochs: defaultEpochs(tasks.reduce((sum, { data }) => sum + Math.ceil(data.train.length / batchSize), 0)),
    // A limit of the memory decides by itself how large a pass may be.
    microBatchSize:
      given.memoryLimit === undefined
        ? Math.min(batchSize, ...tasks.map(({ task }) => task.defaults?.microBatchSize ?? batchSize))
        : batchSize,
    ...suited,
    // Another optimizer than the method's usual one wants other settings.
    ...(optimizer !== usual && optimizers[optimizer].defaults),
    optimizer,
    maxLength: Math.min(
      Math.max(...tasks.map(({ task }) => task.defaults?.maxLength ?? defaultMaxLength)),
      longestInput(parts),
    ),
    selectBy: "tasks" in options ? meanScore : options.task.selectBy,
    ...given,
    ...(method.fitsHead && { epochs: 0 }),
    precision: precisionFor(method, given.precision ?? settingDefaults.precision, backbone.engine.facts),
  };
  const resolved: ResolvedSettings = { headLearningRate: usualSettings.learningRate, ...usualSettings };
  const scores = [...scoresOf(options).keys(), "loss"];
  if (!scores.includes(resolved.selectBy)) {
    throw invalid("selectBy", `one of ${scores.join(", ")}`, `"${resolved.selectBy}"`);
  }
  return resolved;
}

/** What the options say of the settings. @throws OPTION_INVALID for one that does not exist or cannot be so */
function givenSettings(options: AnyTrainOptions): TrainSettings {
  const { backbone: _, method: __, start, resume, signal, rateAt, ...rest } = options;
  const { task, data, tasks, ...settings } = { task: 0, data: 0, tasks: 0, ...rest };
  const unknown = Object.keys(settings).find((key) => !settingNames.includes(key));
  if (unknown !== undefined) {
    const near = closest(unknown, settingNames);
    throw new PtuningError("OPTION_INVALID", `train: expected known settings, got "${unknown}".`, {
      hint: near ? `Did you mean "${near}"?` : `Known are ${settingNames.join(", ")}.`,
    });
  }
  return parseOptions(trainSettings, withoutUndefined(settings));
}

const selectable = ({ scores, sideScores = [] }: Task): readonly string[] =>
  scores.filter((score) => !sideScores.includes(score));

/** The scores that a run may select by, and whether less of one is better: `NAME/SCORE` and their mean for several tasks. */
export function scoresOf(options: AnyTrainOptions): ReadonlyMap<string, "higher" | "lower"> {
  const own = tasksOf(options).flatMap(({ name, task }) =>
    selectable(task).map((score): [string, "higher" | "lower"] => [
      headParameter(name, score),
      task.lowerIsBetter?.includes(score) ? "lower" : "higher",
    ]),
  );
  return new Map("tasks" in options ? [[meanScore, "higher"], ...own] : own);
}

function invalid(key: string, expected: string, got: unknown): PtuningError {
  return new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${String(got)}.`);
}
