import { PtuningError, Rng } from "../core/index.ts";
import {
  type Dataset,
  drawShots,
  type ExampleKinds,
  exampleKinds,
  guessReading,
  type KindDescription,
  openExamples,
  type ReadOptions,
  readDataset,
  usualDevShare,
} from "../data/index.ts";
import { type Method, methodDefaults, methodFrom } from "../methods/index.ts";
import { familyOf, type Task, type TaskFamily, taskFamilies } from "../tasks/index.ts";
import { choosesOnLeftOut, isSmallData, settingDefaults } from "../train/index.ts";
import type { DataConfig, RunConfig, SharedConfig } from "./config.ts";
import { checkConfig, overrideConfig } from "./parse.ts";

/** A configuration that leaves nothing open about the data and the task. */
export interface CompleteConfig extends RunConfig {
  readonly task: RunConfig["task"] & { readonly type: string };
}

/** Examples that a guess at the task looks at. */
const sampleExamples = 200;

/**
 * Fills in what the configuration leaves open, by looking at the training file: columns of a table, and the task
 * that fits the examples.
 * @throws DATA_INVALID, DATA_NOT_FOUND; CONFIG_INVALID if the settings are not those of that task
 */
export async function completeConfig(config: RunConfig): Promise<CompleteConfig> {
  const known = config.task.type === undefined ? undefined : familyOf(config.task.type);
  const given = withGold(config.data, known?.gold);
  const reading = readOptions(given);
  const { path, kind, options } = await guessReading(firstPath(given), reading, known?.reads, known?.gold);
  const data: DataConfig = { ...given, ...completed(reading, options) };
  const { type } = known ?? (await fittingFamily(path, data, kind));
  const complete = { ...config, data, task: { ...config.task, type } };
  return checkConfig(complete, () => `a ${type} task, as the data looks`) as CompleteConfig;
}

/** A label's column that was given for a task that learns numbers or several labels is that of these. */
function withGold(data: DataConfig, gold: TaskFamily["gold"]): DataConfig {
  const { label, ...rest } = data;
  const hasOther = data.labels !== undefined || data.score !== undefined || data.labelPattern !== undefined;
  if (label === undefined || hasOther || gold === undefined || gold === "label") return data;
  return { ...rest, [gold]: label };
}

/** Columns that were given stand; a label that was given in one way is not looked for in others. */
function completed(given: ReadOptions, guessed: ReadOptions): ReadOptions {
  const gold = ["label", "labelPattern", "labels", "score"] as const;
  const hasGold = gold.some((key) => given[key] !== undefined);
  const open = Object.entries(guessed).filter(
    ([key]) => !(hasGold && (gold as readonly string[]).includes(key)),
  );
  return { ...Object.fromEntries(open), ...given };
}

async function fittingFamily(path: string, data: DataConfig, kind: TaskFamily["reads"]): Promise<TaskFamily> {
  const examples: unknown[] = [];
  const opened = await openExamples(path, { ...readOptions(data), kind });
  for await (const example of opened.examples) {
    examples.push(example);
    if (examples.length === sampleExamples) break;
  }
  const family = taskFamilies.find(({ reads, fits }) => reads === kind && fits(examples));
  if (family !== undefined) return family;
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected labelled examples, got ${kind} without anything to predict.`,
    { hint: "Say which column holds the label (--label), or what is learnt (--task)." },
  );
}

/** The options that say how a file is read, for other files of the same form. */
export function readOptions(data: DataConfig): ReadOptions {
  const { train, dev, test, devShare, testShare, splitSeed, sampleSeed, limit, shots, ...reading } = data;
  return reading;
}

/** What stands for the training data where one name is wanted: its first file or folder. */
export function firstPath({ train }: DataConfig): string {
  return [train].flat()[0]!;
}

/**
 * Reads the data set of a run; a test set without gold answers is left out. Where neither dev data nor `devShare` are given and
 * the run can choose on rows that short runs leave out, small data is not parted.
 */
export async function readData(config: CompleteConfig): Promise<Dataset<unknown>> {
  const { data, task } = config;
  const { train, splitSeed, sampleSeed = splitSeed, limit, shots, ...options } = data;
  const { reads } = familyOf(task.type);
  const whole: Dataset<unknown> = await readDataset(train, {
    ...options,
    kind: reads,
    seed: splitSeed,
    devShareOf: (all) => (choosesOnAll(config, all) ? 0 : usualDevShare),
  });
  const read = withoutOpenTest(whole, exampleKinds[reads] as KindDescription<unknown>);
  const drawn = (kept: readonly unknown[], what = ""): Dataset<unknown> => {
    const note = `${kept.length} of ${read.train.length} training examples are used${what}, drawn with seed ${sampleSeed}.`;
    return { ...read, train: kept, warnings: [...read.warnings, note] };
  };
  if (shots !== undefined) {
    const examples = read.train as readonly ExampleKinds[typeof reads][];
    return drawn(drawShots(examples, reads, shots, sampleSeed), `, ${shots} per label`);
  }
  if (limit === undefined || limit >= read.train.length) return read;
  const order = new Rng(sampleSeed, "limit").shuffle(Int32Array.from(read.train.keys()));
  return drawn(Array.from(order.slice(0, limit).sort(), (i) => read.train[i]));
}

/** Whether a run with these training rows trains on all and chooses on rows that short runs leave out. */
function choosesOnAll(config: CompleteConfig, data: Dataset<unknown>): boolean {
  return (
    isSmallData(data.train.length) &&
    choosesOnLeftOut(methodOf(config), taskOf(config, data).head, config.training)
  );
}

/**
 * The data of a run whose split is settled, as runs that are held against each other, or learn several tasks, want it: a share is
 * held back whatever the size.
 */
export function holdingBack<C extends { readonly data: DataConfig }>(config: C): C {
  return { ...config, data: { devShare: usualDevShare, ...config.data } };
}

/** The configuration with the split that was made, so that it is made alike when the run goes on. */
export function asParted(config: CompleteConfig, { dev }: Pick<Dataset<unknown>, "dev">): CompleteConfig {
  if (config.data.devShare !== undefined) return config;
  return overrideConfig(config, { "data.devShare": dev.length === 0 ? 0 : usualDevShare }) as CompleteConfig;
}

/** Test files of benchmarks often have no labels: nothing can be scored on them. */
function withoutOpenTest(data: Dataset<unknown>, { answer }: KindDescription<unknown>): Dataset<unknown> {
  const { test, warnings } = data;
  if (test.length === 0 || test.some((example) => answer(example) !== undefined)) return data;
  const note = `${test.length} test examples have no gold answers: nothing is scored on them.`;
  return { ...data, test: [], warnings: [...warnings, note] };
}

/** The task of a run; what it leaves to the data (labels, ranges) is the data's. */
export function taskOf(
  { task: { type, ...settings }, preset }: CompleteConfig,
  data: Dataset<unknown>,
): Task {
  const family = familyOf(type);
  return family.create(family.resolve({ ...(family.hasPresets && preset && { preset }), ...settings }, data));
}

/** The method of a run; what it leaves open is what suits the kind of task, where there is one that is known. */
export function methodOf(config: SharedConfig | RunConfig): Method {
  const { method, preset } = config;
  const { name, ...options } = method;
  const type = "task" in config ? config.task.type : undefined;
  const head = type === undefined ? {} : sampleOf(familyOf(type)).head;
  return methodFrom(name, { ...(preset && { preset }), ...options }, head);
}

const sampleOf = ({ create, sample }: TaskFamily): Task => create(sample);

/** The defaults of every section, for files that show them. */
export function configDefaults(taskType: string): Partial<Record<keyof RunConfig, unknown>> {
  const family = familyOf(taskType);
  const { head, options } = sampleOf(family);
  const method = methodFrom("p-tuning-v2", {}, head);
  const task = Object.entries(options).filter(([key]) => key in family.settings.shape);
  return {
    data: { encoding: "utf-8", devShare: usualDevShare, testShare: 0, splitSeed: 11 },
    task: Object.fromEntries(task),
    method: { name: method.name, ...method.options },
    training: { ...settingDefaults, ...methodDefaults(method, [head]) },
    report: { html: true, tensorboard: true, state: false, split: false },
  };
}
