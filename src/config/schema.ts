import * as z from "zod";
import type { RunConfig } from "./config.ts";

/**
 * The configuration of a run: one schema for the command line, saved runs and editors. Descriptions become
 * help texts and the comments of generated files.
 */
const count = z.int().positive();
const share = z.number().min(0).lt(1);
const column = z.union([z.string().min(1), count]);
const preset = z.enum(["thudm", "peft"]);
const hiddenRate = z.union([share, z.literal("hidden")]);
const checkpointRate = z.union([share, z.literal("checkpoint")]);

const data = z.strictObject({
  train: z.string().min(1).describe("file with labelled rows: .csv, .tsv, .jsonl or .txt, also .gz"),
  dev: z
    .string()
    .exactOptional()
    .describe("file to choose the best state on; without it a share of train is split off"),
  test: z.string().exactOptional().describe("file that is scored once, at the end"),
  text: z
    .union([column, z.tuple([column]), z.tuple([column, column])])
    .exactOptional()
    .describe(
      "column of the text, or [first, second] for pairs; by name, or by number from 1 without a header",
    ),
  label: column.exactOptional().describe("column of the label"),
  labelPattern: z
    .string()
    .exactOptional()
    .describe("regular expression with groups label and text, for labels inside the text"),
  format: z.enum(["csv", "tsv", "jsonl", "lines"]).exactOptional().describe("default: by the file's name"),
  delimiter: z.string().min(1).max(1).exactOptional().describe("default: comma for csv, tab for tsv"),
  header: z.boolean().exactOptional().describe("whether the first row names the columns"),
  encoding: z.string().exactOptional().describe("default utf-8; never guessed"),
  devShare: share.default(0.1).describe("share of train that becomes dev where no dev file is given"),
  splitSeed: z.int().default(11).describe("seed of that split"),
});

const task = z.strictObject({
  type: z.literal("text-classification").default("text-classification"),
  pooling: z.enum(["mean", "cls", "pooler"]).exactOptional().describe("how a text becomes one vector"),
  headDropout: hiddenRate.exactOptional().describe("dropout before the linear layer"),
  classWeights: z
    .union([z.literal("balanced"), z.record(z.string(), z.number().min(0))])
    .exactOptional()
    .describe("weight of each label in the loss, or balanced"),
});

const promptLayers = z.union([
  z.literal("all"),
  z.strictObject({ first: count }),
  z.strictObject({ last: count }),
  z.array(z.int().nonnegative()).min(1),
]);

const method = z.strictObject({
  name: z.literal("p-tuning-v2").default("p-tuning-v2"),
  promptLength: count.exactOptional().describe("trainable positions in front of each layer"),
  promptLayers: promptLayers
    .exactOptional()
    .describe("all, {first: k}, {last: k}, or a list of layers from 0"),
  reparameterization: z
    .enum(["none", "mlp"])
    .exactOptional()
    .describe("train the prompt directly, or a small network that makes it"),
  prefixHiddenSize: z
    .union([count, z.literal("hidden")])
    .exactOptional()
    .describe("width of that network"),
  promptDropout: hiddenRate.exactOptional().describe("dropout on prompt keys and values"),
  initScale: z.number().nonnegative().exactOptional().describe("standard deviation that prompts start from"),
  mlpInit: z.enum(["normal", "uniform"]).exactOptional().describe("how the network starts"),
  positionOffset: z
    .boolean()
    .exactOptional()
    .describe("start text positions behind the prompt, as the reference does"),
});

const training = z.strictObject({
  epochs: count.exactOptional().describe("passes over the training data"),
  batchSize: count.exactOptional().describe("examples per update"),
  microBatchSize: count
    .exactOptional()
    .describe("examples per pass: smaller saves memory and changes no result"),
  learningRate: z.number().positive().exactOptional().describe("default: what suits the method"),
  schedule: z.enum(["linear", "constant", "exponential"]).exactOptional(),
  warmupSteps: z.int().nonnegative().exactOptional(),
  weightDecay: z.number().nonnegative().exactOptional(),
  clipNorm: z.number().positive().exactOptional().describe("greatest global norm of the gradients"),
  maxLength: count.exactOptional().describe("tokens per example; longer texts are cut"),
  hiddenDropout: checkpointRate.exactOptional().describe("dropout inside the backbone while training"),
  attentionDropout: checkpointRate.exactOptional(),
  precision: z
    .enum(["auto", "fp32", "int8"])
    .exactOptional()
    .describe("of the frozen layers; auto takes int8 where the CPU is good at it"),
  evaluateEvery: z
    .union([z.literal("epoch"), count])
    .exactOptional()
    .describe("epoch, or a number of updates"),
  selectBy: z.string().exactOptional().describe("dev score that decides which state is kept"),
  patience: z
    .int()
    .nonnegative()
    .exactOptional()
    .describe("stop after so many evaluations without a better score; 0: never"),
  seed: z.int().exactOptional(),
  checkpointSeconds: z
    .number()
    .nonnegative()
    .exactOptional()
    .describe("save a resumable state at least this often"),
});

const engine = z.strictObject({
  threads: count.exactOptional().describe("default: all cores"),
  spin: z
    .boolean()
    .exactOptional()
    .describe("let idle threads spin: a little faster on a machine of one's own"),
});

const report = z.strictObject({
  html: z.boolean().default(true).describe("write report.html; it quotes examples of the data"),
  tensorboard: z.boolean().default(true).describe("write scalars for TensorBoard"),
});

export const runSchema: z.ZodType<RunConfig, unknown> = z.strictObject({
  backbone: z.string().min(1).default("minilm").describe("catalog name, hub id or folder"),
  preset: preset.exactOptional().describe("start from the settings of another implementation: thudm or peft"),
  data,
  task: task.prefault({}),
  method: method.prefault({}),
  training: training.prefault({}),
  engine: engine.prefault({}),
  report: report.prefault({}),
  output: z.string().min(1).exactOptional().describe("run folder; default runs/NAME-OF-THE-DATA"),
});
