/** The settings of the training loop: what they may be, what they are where nobody says, what people are told of them. */
import * as z from "zod";
import type { Precision } from "../backbones/index.ts";
import type { MemoryMode, TrunkDtype } from "../model/index.ts";
import { formNames } from "../nn/index.ts";
import { type OptimizerName, optimizerNames, type ScheduleName, scheduleNames } from "../optim/index.ts";
import { parseBytes } from "./memory.ts";

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
  /** Updates over which the learning rate rises from 0; below 1, their share of all updates. */
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
  /**
   * `auto` fits the linear layer of a head on whole texts again at the end, and keeps what dev likes better; not where a
   * preset asks for what another implementation computes, and not without a dev set. Default `auto`.
   */
  readonly refit?: "auto" | "never";
  /**
   * `auto` also offers, where texts are few, a head on the vectors of the tuned and of the untouched backbone side by side: it is kept
   * where held-out rows score it higher, and costs a second pass of the backbone in use. Only where heads are refitted. Default `auto`.
   */
  readonly blend?: "auto" | "never";
  readonly seed?: number;
  /** Save a resumable state at least this often, besides at every evaluation. */
  readonly checkpointSeconds?: number;
}

/** What a setting is where nobody says; results/README.md has what comes of them. Those that it lacks follow from others. */
export const settingDefaults: Readonly<
  Required<
    Omit<
      TrainSettings,
      "epochs" | "microBatchSize" | "learningRate" | "headLearningRate" | "maxLength" | "selectBy"
    >
  >
> = {
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
  refit: "auto",
  blend: "auto",
  seed: 11,
  checkpointSeconds: 60,
};

const wholeAbove0 = "a whole number above 0";
const count = z.int(wholeAbove0).positive(wholeAbove0);
/** Settings that decide how much is allocated, or how long a list is. */
const upTo = (most: number): z.ZodInt => count.max(most, `at most ${most}`);
const above0 = z.number("a number above 0").positive("a number above 0");
const atLeast0 = z.number("a number of at least 0").nonnegative("a number of at least 0");
const wholeAtLeast0 = z.int("a whole number of at least 0").nonnegative("a number of at least 0");
const dropoutRate = "a rate from 0 to below 1, or checkpoint";
const rate = z.union(
  [z.number().min(0, dropoutRate).lt(1, dropoutRate), z.literal("checkpoint")],
  dropoutRate,
);
const updatesOrShare = "a whole number of updates of at least 0, or a share of them below 1";
const epochOrUpdates = '"epoch" or a number of updates';
const bytes = 'bytes, a size such as "2 GB", or "none"';
const sampling = z.union([
  z.enum(["proportional", "round-robin"]),
  z.strictObject({ temperature: z.number().positive() }),
]);

/** The values of each. Descriptions become help texts and the comments of generated files. */
const shape = {
  epochs: upTo(1_000_000).describe(
    "passes over the training data; default: about 1,500 updates, from 3 to 30 passes",
  ),
  batchSize: upTo(65_536).describe("examples per update"),
  microBatchSize: upTo(65_536).describe("examples per pass: smaller saves memory and changes no result"),
  learningRate: above0.describe("default: what suits the method"),
  headLearningRate: above0.describe("of the head; default: learningRate"),
  optimizer: z.enum(optimizerNames).describe("adamw, or adafactor as in prompt tuning"),
  schedule: z.enum(scheduleNames),
  warmupSteps: z
    .number(updatesOrShare)
    .nonnegative(updatesOrShare)
    .refine((steps) => steps < 1 || Number.isInteger(steps), updatesOrShare)
    .describe("updates over which the learning rate rises from 0; below 1, their share of all"),
  weightDecay: atLeast0,
  clipNorm: above0.describe("greatest global norm of the gradients"),
  maxLength: upTo(1_000_000).describe("tokens per example; longer texts are cut"),
  hiddenDropout: rate.describe("dropout inside the backbone while training"),
  attentionDropout: rate,
  memory: z
    .enum(["fast", "lean"])
    .describe("lean computes activations twice: a fraction of the memory, a third more time"),
  memoryLimit: z
    .union([z.number(), z.string()], bytes)
    .refine((size) => parseBytes(size) !== undefined, bytes)
    .describe("memory of the process, as 2 GB or bytes: micro-batches are chosen to fit; none: no limit"),
  trunkCache: z
    .enum(["off", "auto", "memory", "file"])
    .describe("compute the layers beneath the lowest prompt once, without their dropout"),
  trunkCacheType: z.enum(["float32", "float16"]).describe("how their output is kept"),
  precision: z
    .enum(["auto", ...formNames])
    .describe("of the frozen layers; auto takes int8 where the CPU is good at it"),
  evaluateEvery: z
    .union([z.literal("epoch"), z.int().positive(epochOrUpdates)], epochOrUpdates)
    .describe("epoch, or a number of updates"),
  selectBy: z.string("the name of a score").describe("dev score that decides which state is kept"),
  patience: wholeAtLeast0.describe("stop after so many evaluations without a better score; 0: never"),
  sampling: z
    .custom<Sampling>(
      (value) => sampling.safeParse(value).success,
      "proportional, round-robin or a temperature above 0",
    )
    .describe("of several tasks: proportional to size, {temperature: t} for size^(1/t), or round-robin"),
  refit: z
    .enum(["auto", "never"], "auto or never")
    .describe("auto fits heads on whole texts again at the end and keeps what dev likes better"),
  blend: z
    .enum(["auto", "never"], "auto or never")
    .describe("auto offers heads on few texts the untouched backbone's vectors as well: two passes in use"),
  seed: z.int("a whole number"),
  checkpointSeconds: atLeast0.describe("save a resumable state at least this often"),
} satisfies { readonly [S in keyof TrainSettings]-?: z.ZodType<Required<TrainSettings>[S]> };

/** Every setting by name. */
export const settingNames: readonly string[] = Object.keys(shape);

/** Checks settings; each may be left out. */
export const trainSettings: z.ZodType<TrainSettings, unknown> = z.strictObject(
  Object.fromEntries(Object.entries(shape).map(([name, values]) => [name, values.exactOptional()])),
);
