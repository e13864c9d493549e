import type { Backbone, Precision } from "../backbones/index.ts";
import { closest, PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import { type Method, methodDefaults, precisionFor } from "../methods/index.ts";
import {
  headParameter,
  longestInput,
  type MemoryMode,
  type ModelParts,
  type TrunkDtype,
} from "../model/index.ts";
import type { FormName } from "../nn/index.ts";
import { type OptimizerName, optimizers, type Schedule, type ScheduleName } from "../optim/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { parseBytes } from "./memory.ts";
import type { Start } from "./start.ts";
import type { TrainingState } from "./state.ts";

/** How the updates of an epoch are shared out among tasks. */
export type Sampling = "proportional" | "round-robin" | { readonly temperature: number };

/** Settings of the training loop, all with defaults. */
export interface TrainSettings {
  /** Passes over the training data. Default: what makes about 1,500 updates, from 3 to 30. */
  readonly epochs?: number;
  /** Examples per update. */
  readonly batchSize?: number;
  /** Examples per pass, to save memory; updates stay those of `batchSize`. Default: `batchSize`. */
  readonly microBatchSize?: number;
  /** Default: what the method says suits it. */
  readonly learningRate?: number;
  /** Of the head, where it shall differ: it follows the same schedule. Default: `learningRate`. */
  readonly headLearningRate?: number;
  readonly optimizer?: OptimizerName;
  readonly schedule?: ScheduleName;
  /** Updates over which the learning rate rises from 0. */
  readonly warmupSteps?: number;
  readonly weightDecay?: number;
  /** Greatest global norm of the gradients. */
  readonly clipNorm?: number;
  /** Tokens per example, special ones included; longer texts are cut. */
  readonly maxLength?: number;
  /** Dropout of the backbone while it trains; `"checkpoint"` is what its config says. */
  readonly hiddenDropout?: number | "checkpoint";
  readonly attentionDropout?: number | "checkpoint";
  /** `lean` computes activations again in the backward pass: a fraction of the memory, a third more time. */
  readonly memory?: MemoryMode;
  /**
   * Memory that the whole process may take, `"2 GB"` or bytes: passes are cut into micro-batches that are
   * estimated to fit. Default `"none"`; a given `microBatchSize` wins.
   */
  readonly memoryLimit?: number | string;
  /**
   * Computes the layers beneath the lowest prompt once per text, without their dropout, and keeps the output:
   * in memory, in a file, or `auto` by its size. Default `"off"`, as it changes what is trained.
   */
  readonly trunkCache?: "off" | "auto" | "memory" | "file";
  /** How that output is kept. */
  readonly trunkCacheType?: TrunkDtype;
  /** Of the frozen linear layers: `auto` takes int8 where the engine is good at it. */
  readonly precision?: Precision;
  /** Evaluate on dev after every epoch, or every so many updates. */
  readonly evaluateEvery?: "epoch" | number;
  /** Score on dev that decides which state is kept; `"loss"` takes the lowest loss. Default: the task's. */
  readonly selectBy?: string;
  /** Stop after so many evaluations without a better score; 0 never stops early. */
  readonly patience?: number;
  /**
   * With several tasks, how often each is trained in an epoch, which has as many updates as one pass over all data:
   * as its size says, as size^(1/temperature) says (nearer to equal shares above 1), or in turns.
   */
  readonly sampling?: Sampling;
  readonly seed?: number;
  /** Save a resumable state at least this often, besides at every evaluation. */
  readonly checkpointSeconds?: number;
}

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

/** What a setting is where nobody says; results/README.md has what comes of them. */
export const settingDefaults = {
  batchSize: 32,
  optimizer: "adamw",
  schedule: "linear",
  warmupSteps: 0,
  weightDecay: 0,
  clipNorm: 1,
  hiddenDropout: "checkpoint",
  attentionDropout: "checkpoint",
  memory: "fast",
  memoryLimit: "none",
  trunkCache: "off",
  trunkCacheType: "float32",
  precision: "auto",
  evaluateEvery: "epoch",
  patience: 0,
  sampling: "proportional",
  seed: 11,
  checkpointSeconds: 60,
} as const;

/** Every setting by name; those that the list above lacks follow from others. */
const settingNames: readonly string[] = [
  ...Object.keys(settingDefaults),
  ...(["epochs", "microBatchSize", "learningRate", "headLearningRate", "maxLength", "selectBy"] as const),
];

/** A run should make about this many updates: fewer leave small data sets half learnt, more are time lost. */
const targetSteps = 1500;
const fewestEpochs = 3;
const mostEpochs = 30;

/** Epochs that make about {@link targetSteps} updates, within bounds. */
function defaultEpochs(stepsPerEpoch: number): number {
  const epochs = Math.round(targetSteps / stepsPerEpoch);
  return Math.min(mostEpochs, Math.max(fewestEpochs, epochs));
}

/** Settings that lists are made by. */
const most = { epochs: 1_000_000, batchSize: 65_536, microBatchSize: 65_536, maxLength: 1_000_000 } as const;

/** Longer texts are rare in classification and cost much: the default cuts here, unless the task has its own. */
const defaultMaxLength = 256;

/**
 * Fills in the defaults.
 * @throws OPTION_INVALID naming the setting
 */
export function resolveSettings(options: AnyTrainOptions, parts: ModelParts): ResolvedSettings {
  const { backbone, method, start, resume, signal, rateAt, ...rest } = options;
  const { task: _, data: __, tasks: ___, ...settings } = { task: 0, data: 0, tasks: 0, ...rest };
  const unknown = Object.keys(settings).find((key) => !settingNames.includes(key));
  if (unknown !== undefined) {
    const near = closest(unknown, settingNames);
    throw new PtuningError("OPTION_INVALID", `train: expected known settings, got "${unknown}".`, {
      hint: near ? `Did you mean "${near}"?` : `Known are ${settingNames.join(", ")}.`,
    });
  }
  const tasks = tasksOf(options);
  const given = Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as TrainSettings;
  const batchSize = given.batchSize ?? settingDefaults.batchSize;
  const suited = methodDefaults(
    method,
    tasks.map(({ task }) => task.head),
  );
  const usual = suited.optimizer ?? settingDefaults.optimizer;
  const optimizer = given.optimizer ?? usual;
  const entry = Object.hasOwn(optimizers, optimizer) ? optimizers[optimizer] : undefined;
  if (entry === undefined)
    throw invalid("optimizer", `one of ${Object.keys(optimizers).join(", ")}`, optimizer);
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
    ...(optimizer !== usual && entry.defaults),
    optimizer,
    maxLength: Math.min(
      Math.max(...tasks.map(({ task }) => task.defaults?.maxLength ?? defaultMaxLength)),
      longestInput(parts),
    ),
    selectBy: "tasks" in options ? meanScore : options.task.selectBy,
    ...given,
    precision: precisionFor(method, given.precision ?? settingDefaults.precision, backbone.engine.facts),
  };
  const resolved: ResolvedSettings = { headLearningRate: usualSettings.learningRate, ...usualSettings };
  for (const key of ["epochs", "batchSize", "microBatchSize", "maxLength"] as const) {
    const value = resolved[key];
    if (!Number.isInteger(value) || value < 1) throw invalid(key, "a whole number above 0", value);
    if (value > most[key]) throw invalid(key, `at most ${most[key]}`, value);
  }
  for (const key of ["learningRate", "headLearningRate", "clipNorm"] as const) {
    if (!(resolved[key] > 0)) throw invalid(key, "a number above 0", resolved[key]);
  }
  for (const key of ["warmupSteps", "weightDecay", "patience", "checkpointSeconds"] as const) {
    if (!(resolved[key] >= 0)) throw invalid(key, "a number of at least 0", resolved[key]);
  }
  const scores = [...scoresOf(options).keys(), "loss"];
  if (!scores.includes(resolved.selectBy)) {
    throw invalid("selectBy", `one of ${scores.join(", ")}`, `"${resolved.selectBy}"`);
  }
  if (resolved.memory !== "fast" && resolved.memory !== "lean") {
    throw invalid("memory", "fast or lean", resolved.memory);
  }
  if (parseBytes(resolved.memoryLimit) === undefined) {
    throw invalid("memoryLimit", 'bytes, a size such as "2 GB", or "none"', resolved.memoryLimit);
  }
  const { sampling } = resolved;
  if (
    typeof sampling === "object"
      ? !(sampling.temperature > 0)
      : !["proportional", "round-robin"].includes(sampling)
  ) {
    throw invalid("sampling", "proportional, round-robin or a temperature above 0", JSON.stringify(sampling));
  }
  const every = resolved.evaluateEvery;
  if (every !== "epoch" && !(Number.isInteger(every) && every > 0)) {
    throw invalid("evaluateEvery", '"epoch" or a number of updates', every);
  }
  return resolved;
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
