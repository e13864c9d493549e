import { Option } from "commander";
import { parseColumn, parseColumns } from "./columns.ts";
import { aboveZero, positive, whole } from "./numbers.ts";

/** A flag that is short for a key of the configuration: help, and what is made of it, follow from this one line. */
export interface RunFlag {
  /** As the help has it: `--epochs <n>`. */
  readonly flag: string;
  readonly key: string;
  readonly about: string;
  readonly choices?: readonly string[];
  /** Makes a value of the text; the text itself is the value without it, or where it gives none. */
  readonly parse?: (text: string, name: string) => unknown;
}

const count = (text: string, name: string): number => positive(name, text);

/** `auto` and the names of `src/nn/forms/registry.ts`, which is loaded when a command runs; a test holds them equal. */
export const precisions: readonly string[] = ["auto", "fp32", "int8", "int4"];

/** Flags of every command that trains: data, backbone and the settings that one changes most. */
export const commonFlags: readonly RunFlag[] = [
  {
    flag: "--task <type>",
    key: "task.type",
    about: "what is learnt; default: what the data looks like",
  },
  { flag: "--dev <file>", key: "data.dev", about: "dev data" },
  { flag: "--test <file>", key: "data.test", about: "test data, scored once at the end" },
  {
    flag: "--text <columns>",
    key: "data.text",
    about: "text column, or two joined by a comma for pairs",
    parse: parseColumns,
  },
  { flag: "--label <column>", key: "data.label", about: "label column", parse: parseColumn },
  { flag: "--label-pattern <regex>", key: "data.labelPattern", about: "finds labels inside the text" },
  { flag: "--backbone <name>", key: "backbone", about: "catalog name, hub id or folder" },
  {
    flag: "--prompt-length <n>",
    key: "method.promptLength",
    about: "trainable positions in front of each layer",
    parse: count,
  },
  { flag: "--epochs <n>", key: "training.epochs", about: "passes over the training data", parse: count },
  { flag: "--batch-size <n>", key: "training.batchSize", about: "examples per update", parse: count },
  {
    flag: "--max-length <n>",
    key: "training.maxLength",
    about: "tokens per text; longer ones are cut",
    parse: count,
  },
  {
    flag: "--precision <name>",
    key: "training.precision",
    about: "of the frozen layers",
    choices: precisions,
  },
  {
    flag: "--threads <n>",
    key: "engine.threads",
    about: "default: all cores, shared out among what runs at a time",
    parse: count,
  },
];

/** Of the common ones, those that say which data are read, and how many tokens of them. */
const readingKeys = [
  "task.type",
  "backbone",
  "method.promptLength",
  "training.batchSize",
  "training.maxLength",
];
export const readingFlags: readonly RunFlag[] = commonFlags.filter(
  ({ key }) => key.startsWith("data.") || readingKeys.includes(key),
);

/** Flags of `train` alone, the first before the common ones. */
export const dataFlag: RunFlag = { flag: "--data <file>", key: "data.train", about: "training data" };
export const trainFlags: readonly RunFlag[] = [
  { flag: "--preset <name>", key: "preset", about: "start from the settings of thudm or peft" },
  { flag: "--method <name>", key: "method.name", about: "how the backbone is tuned" },
  {
    flag: "--start-from <folder>",
    key: "start.from",
    about: "adapter, run or training state whose prompt to start from",
  },
  {
    flag: "--start-head <kind>",
    key: "start.head",
    about: "its head as well",
    choices: ["new", "keep", "freeze"],
  },
  { flag: "--start-task <name>", key: "start.task", about: "which head, of an adapter that has several" },
  {
    flag: "--split",
    key: "report.split",
    about: "after several tasks, also an adapter for each of them alone",
  },
  {
    flag: "--learning-rate <x>",
    key: "training.learningRate",
    about: "default: what suits the method",
    parse: (text, name) => aboveZero(name, text),
  },
  {
    flag: "--seed <n>",
    key: "training.seed",
    about: "seed of everything random",
    parse: (text, name) => whole(name, text),
  },
];

/** A flag as the parser of command lines takes it. */
export function optionOf({ flag, key, about, choices }: RunFlag): Option {
  const option = new Option(flag, `${about} (${key})`);
  return choices === undefined ? option : option.choices(choices);
}

/** What a command line was given, by the names that its parser makes of flags. */
interface GivenFlags {
  readonly [flag: string]: unknown;
}

/** Whether any of the flags says something of the configuration. */
export function saysAnything(flags: GivenFlags): boolean {
  return saidBy(flags).length > 0;
}

/** What flags say of the configuration, as assignments of JSON to keys. @throws OPTION_INVALID naming the flag */
export function assignmentsOf(flags: GivenFlags): string[] {
  return saidBy(flags).map(({ key, parse, name, given }) => {
    const value = typeof given === "string" ? (parse?.(given, name) ?? given) : given;
    return `${key}=${JSON.stringify(value)}`;
  });
}

function saidBy(flags: GivenFlags): (RunFlag & { readonly name: string; readonly given: unknown })[] {
  return [dataFlag, ...commonFlags, ...trainFlags].flatMap((flag) => {
    const option = optionOf(flag);
    const given = flags[option.attributeName()];
    return given === undefined ? [] : [{ ...flag, name: option.long!, given }];
  });
}
