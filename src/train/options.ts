import { type Backbone, choosePrecision, type Precision } from "../backbones/index.ts";
import { PtuningError } from "../core/index.ts";
import type { Dataset } from "../data/index.ts";
import type { Method } from "../methods/index.ts";
import { longestInput, type MemoryMode, type ModelParts, type TrunkDtype } from "../model/index.ts";
import { type OptimizerName, optimizers, type Schedule, type ScheduleName } from "../optim/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { parseBytes } from "./memory.ts";
import type { TrainingState } from "./state.ts";

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
  /** Of the frozen linear layers: `auto` takes int8 where the CPU is good at it. */
  readonly precision?: Precision;
  /** Evaluate on dev after every epoch, or every so many updates. */
  readonly evaluateEvery?: "epoch" | number;
  /** Score on dev that decides which state is kept; `"loss"` takes the lowest loss. Default: the task's. */
  readonly selectBy?: string;
  /** Stop after so many evaluations without a better score; 0 never stops early. */
  readonly patience?: number;
  readonly seed?: number;
  /** Save a resumable state at least this often, besides at every evaluation. */
  readonly checkpointSeconds?: number;
}

/** What is trained on what, and how. */
export interface TrainOptions<E = unknown, N extends Encoded = Encoded, P = unknown> extends TrainSettings {
  readonly backbone: Backbone;
  readonly task: Task<E, N, P>;
  readonly data: Dataset<E>;
  readonly method: Method;
  /** Continues a run from where it was saved; everything else must be as it was. */
  readonly resume?: TrainingState;
  /** Ends the run after the current step, with a checkpoint. */
  readonly signal?: AbortSignal;
  /** Learning rate of each update in place of `learningRate` and `schedule`, for runs that are not kept. */
  readonly rateAt?: Schedule;
}

/** Settings with every default filled in; `auto` has become what it stands for on this machine. */
export type ResolvedSettings = Required<TrainSettings> & { readonly precision: "fp32" | "int8" };

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
  seed: 11,
  checkpointSeconds: 60,
} as const;

/** A run should make about this many updates: fewer leave small data sets half learnt, more are time lost. */
const targetSteps = 1500;
const fewestEpochs = 3;
const mostEpochs = 30;

/** Epochs that make about {@link targetSteps} updates, within bounds. */
function defaultEpochs(examples: number, batchSize: number): number {
  const epochs = Math.round(targetSteps / Math.ceil(examples / batchSize));
  return Math.min(mostEpochs, Math.max(fewestEpochs, epochs));
}

/** Longer texts are rare in classification and cost much: the default cuts here, unless the task has its own. */
const defaultMaxLength = 256;

/**
 * Fills in the defaults.
 * @throws OPTION_INVALID naming the setting
 */
export function resolveSettings(options: TrainOptions, parts: ModelParts): ResolvedSettings {
  const { backbone, task, data, method, resume, signal, rateAt, ...settings } = options;
  const given = Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as TrainSettings;
  const batchSize = given.batchSize ?? settingDefaults.batchSize;
  const usual = method.defaults.optimizer ?? settingDefaults.optimizer;
  const optimizer = given.optimizer ?? usual;
  const entry = Object.hasOwn(optimizers, optimizer) ? optimizers[optimizer] : undefined;
  if (entry === undefined)
    throw invalid("optimizer", `one of ${Object.keys(optimizers).join(", ")}`, optimizer);
  const usualSettings = {
    ...settingDefaults,
    epochs: defaultEpochs(data.train.length, batchSize),
    // A limit of the memory decides by itself how large a pass may be.
    microBatchSize:
      given.memoryLimit === undefined
        ? Math.min(batchSize, task.defaults?.microBatchSize ?? batchSize)
        : batchSize,
    ...method.defaults,
    // Another optimizer than the method's usual one wants other settings.
    ...(optimizer !== usual && entry.defaults),
    optimizer,
    maxLength: Math.min(task.defaults?.maxLength ?? defaultMaxLength, longestInput(parts)),
    selectBy: task.selectBy,
    ...given,
    precision: precisionFor(method, given.precision ?? settingDefaults.precision),
  };
  const resolved: ResolvedSettings = { headLearningRate: usualSettings.learningRate, ...usualSettings };
  for (const key of ["epochs", "batchSize", "microBatchSize", "maxLength"] as const) {
    const value = resolved[key];
    if (!Number.isInteger(value) || value < 1) throw invalid(key, "a whole number above 0", value);
  }
  for (const key of ["learningRate", "headLearningRate", "clipNorm"] as const) {
    if (!(resolved[key] > 0)) throw invalid(key, "a number above 0", resolved[key]);
  }
  for (const key of ["warmupSteps", "weightDecay", "patience", "checkpointSeconds"] as const) {
    if (!(resolved[key] >= 0)) throw invalid(key, "a number of at least 0", resolved[key]);
  }
  const scores = [...task.scores, "loss"];
  if (!scores.includes(resolved.selectBy)) {
    throw invalid("selectBy", `one of ${scores.join(", ")}`, `"${resolved.selectBy}"`);
  }
  if (resolved.memory !== "fast" && resolved.memory !== "lean") {
    throw invalid("memory", "fast or lean", resolved.memory);
  }
  if (parseBytes(resolved.memoryLimit) === undefined) {
    throw invalid("memoryLimit", 'bytes, a size such as "2 GB", or "none"', resolved.memoryLimit);
  }
  const every = resolved.evaluateEvery;
  if (every !== "epoch" && !(Number.isInteger(every) && every > 0)) {
    throw invalid("evaluateEvery", '"epoch" or a number of updates', every);
  }
  return resolved;
}

/** @throws OPTION_INVALID if the method cannot have int8 layers and is told to */
function precisionFor({ name, int8 }: Method, precision: Precision): "fp32" | "int8" {
  if (int8 === undefined) return choosePrecision(precision);
  if (precision === "int8") throw invalid("precision", `fp32 with ${name}, as ${int8.reason}`, precision);
  return "fp32";
}

function invalid(key: string, expected: string, got: unknown): PtuningError {
  return new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${String(got)}.`);
}
