import * as z from "zod";
import { type FormatName, formats, usualDevShare } from "../data/index.ts";
import { threadLimit } from "../engine/index.ts";
import { taskFamilies, wordCutSchema } from "../tasks/index.ts";
import { smallData, trainSettings } from "../train/index.ts";
import type { MultiTaskConfig, RunConfig } from "./config.ts";
import { methodSchema } from "./methods.ts";
import { searchSchema } from "./search.ts";

/**
 * The configuration of a run: one schema for the command line, saved runs and editors. Descriptions become
 * help texts and the comments of generated files.
 */
const count = z.int().positive();
const share = z.number().min(0).lt(1);
const column = z.union([z.string().min(1), count]);
const preset = z.enum(["thudm", "peft"]);

const oneOrTwo = z.union([column, z.tuple([column]), z.tuple([column, column])]);
const formatNames = z.enum(Object.keys(formats) as [FormatName, ...FormatName[]]);

const path = z.string().min(1);
const paths = z.union([path, z.array(path).min(1)], { error: "a path or a list of paths" });

const data = z.strictObject({
  train: paths.describe(
    "file or folder with labelled examples, also .gz, or hf:owner/name of a data set on the hub; or a list of them",
  ),
  dev: paths
    .exactOptional()
    .describe("file to choose the best state on, or several; without it a share of train is split off"),
  test: paths.exactOptional().describe("file that is scored once, at the end, or several"),
  text: oneOrTwo
    .exactOptional()
    .describe(
      "column of the text, or [first, second] for pairs; by name, or by number from 1 without a header",
    ),
  label: column.exactOptional().describe("column of the label"),
  labelPattern: z
    .string()
    .exactOptional()
    .describe("regular expression with groups label and text, for labels inside the text"),
  labels: z
    .union([column, z.array(column).min(2)])
    .exactOptional()
    .describe("column with any number of labels, or one column of 0 and 1 for each label"),
  labelSeparator: z
    .string()
    .min(1)
    .exactOptional()
    .describe("what stands between them; default: the one of , ; | that the column has"),
  labelNames: z
    .array(z.string().min(1))
    .min(2)
    .exactOptional()
    .describe("names of the labels of a column with lists of 0 and 1"),
  score: column.exactOptional().describe("column of numbers"),
  group: column.exactOptional().describe("column that examples share which belong together"),
  choices: z
    .union([column, z.array(column).min(2)])
    .exactOptional()
    .describe("column with a list of alternatives, or one column for each"),
  choiceLabels: z
    .enum(["from-0", "from-1", "columns", "letters", "texts"])
    .exactOptional()
    .describe("what labels of choices are; default: what all of the file are"),
  listCells: z
    .enum(["lists", "joined"])
    .exactOptional()
    .describe(
      "text cells of lists: lists as JSON or Python writes them, or joined items; default: what all are",
    ),
  tokens: column.exactOptional().describe("column of the words"),
  tags: column.exactOptional().describe("column with a tag for each word"),
  predicate: column.exactOptional().describe("column with the number of the predicate's word, from 0"),
  sense: column.exactOptional().describe("column of the predicate's sense"),
  question: column.exactOptional().describe("column of the question"),
  context: column.exactOptional().describe("column of the passage"),
  answers: column.exactOptional().describe("column of the answers"),
  id: column.exactOptional().describe("column that names the question"),
  format: formatNames.exactOptional().describe("default: by the file's name, else by how it starts"),
  delimiter: z
    .string()
    .min(1)
    .max(1)
    .exactOptional()
    .describe("default: comma for csv, tab for tsv, or what the first rows have instead"),
  quotes: z
    .boolean()
    .exactOptional()
    .describe("whether a quote at the start of a cell quotes it; default: csv yes, tsv where all do"),
  header: z.boolean().exactOptional().describe("whether the first row names the columns"),
  encoding: z.string().exactOptional().describe("default utf-8; never guessed"),
  damaged: z.enum(["refuse", "skip"]).exactOptional().describe("records that cannot be read"),
  maxUnpackedBytes: count.exactOptional().describe("what a gzip file may unpack to at most"),
  split: z
    .enum(["train", "dev", "test"])
    .exactOptional()
    .describe("which split of a file that holds several"),
  tokenColumn: count.exactOptional().describe("number of the column of words in CoNLL files"),
  tagColumn: count.exactOptional().describe("number of the column of tags in CoNLL files"),
  template: z
    .union([z.literal(0), z.literal(1)])
    .exactOptional()
    .describe("input text of WiC and WSC"),
  misaligned: z
    .enum(["refuse", "cut", "snap", "drop"])
    .exactOptional()
    .describe("spans that do not end at word borders"),
  offsets: z
    .enum(["auto", "utf-16", "codepoints", "graphemes"])
    .exactOptional()
    .describe("what offsets of spans count; default auto: as the whole file bears out"),
  cut: wordCutSchema
    .exactOptional()
    .describe("how texts are cut into words; default: so that spans end at words"),
  overlapping: z.enum(["refuse", "longest"]).exactOptional().describe("spans that overlap"),
  devShare: share
    .exactOptional()
    .describe(
      `share of train that becomes dev where no dev file is given; default: ${usualDevShare}, and 0 below ${smallData} texts, where rows that short runs leave out decide`,
    ),
  testShare: share
    .exactOptional()
    .describe("share of train that becomes the test set, taken before dev; default 0"),
  splitSeed: z.int().default(11).describe("seed of these splits"),
  sampleSeed: z.int().exactOptional().describe("seed of what limit and shots draw; default splitSeed"),
  limit: count.exactOptional().describe("train on this many examples, drawn at random"),
  shots: count.exactOptional().describe("train on so many examples per label, drawn at random"),
});

const typed = taskFamilies.map(({ type, title, settings }) =>
  z.strictObject({
    type: z.literal(type).describe(`${title}; other types: ${typesBeside(type)}`),
    ...settings.shape,
  }),
);

function typesBeside(type: string): string {
  return taskFamilies.flatMap((family) => (family.type === type ? [] : [family.type])).join(", ");
}

/** Without a type: any key of any family, until the data has told the type and the run is checked again. */
const untyped = z.strictObject({
  ...Object.fromEntries(
    typed.flatMap(({ shape }) => Object.keys(shape).map((key) => [key, z.unknown().optional()])),
  ),
  type: z.undefined().optional(),
});

const task = z.discriminatedUnion("type", [untyped, ...typed]);

const engine = z.strictObject({
  threads: count
    .max(threadLimit)
    .exactOptional()
    .describe("default: the physical cores, or fewer in a container with a CPU quota"),
  spin: z
    .boolean()
    .exactOptional()
    .describe("let idle threads spin: a little faster on a machine of one's own"),
});

const report = z.strictObject({
  html: z.boolean().default(true).describe("write report.html; it quotes examples of the data"),
  tensorboard: z.boolean().default(true).describe("write scalars for TensorBoard"),
  state: z
    .boolean()
    .exactOptional()
    .describe("keep the training state of a finished run, from which another can start"),
  split: z
    .boolean()
    .exactOptional()
    .describe("after several tasks, write an adapter of its own for each: adapters/NAME"),
});

const start = z.strictObject({
  from: z
    .string()
    .min(1)
    .describe("adapter, run or training state whose prompt is taken over; tiled or cut to promptLength"),
  head: z
    .enum(["new", "keep", "freeze"])
    .exactOptional()
    .describe("its head as well: keep trains it on, freeze leaves it as it is"),
  task: z.string().min(1).exactOptional().describe("which head, of an adapter that has several"),
});

const shared = {
  backbone: z.string().min(1).default("minilm").describe("catalog name, hub id or folder"),
  preset: preset.exactOptional().describe("start from the settings of another implementation: thudm or peft"),
  method: methodSchema,
  start: start.exactOptional(),
  training: trainSettings.prefault({}),
  engine: engine.prefault({}),
  report: report.prefault({}),
  output: z.string().min(1).exactOptional().describe("run folder; default runs/NAME-OF-THE-DATA"),
};

const { backbone, preset: presetKey, ...others } = shared;

export const runSchema: z.ZodType<RunConfig, unknown> = z.strictObject({
  backbone,
  preset: presetKey,
  data,
  task: task.prefault({}),
  ...others,
  search: searchSchema.exactOptional().describe("what ptuning sweep tries"),
});

/** The configuration of a run of several tasks, told from one of a single task by its key `tasks`. */
export const multiTaskSchema: z.ZodType<MultiTaskConfig, unknown> = z.strictObject({
  backbone,
  preset: presetKey,
  tasks: z.record(
    z.string(),
    z.strictObject({
      data,
      task: task.prefault({}),
      weight: z
        .number()
        .positive()
        .exactOptional()
        .describe("how often it is trained, beside its size; default 1"),
      selectBy: z
        .string()
        .exactOptional()
        .describe("its score in the mean that decides which state is kept; default: the task's"),
    }),
  ),
  ...others,
});
