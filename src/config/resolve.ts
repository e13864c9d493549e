import { type Dataset, guessTable, readTable, type TableOptions } from "../data/index.ts";
import { type Method, methodFrom } from "../methods/index.ts";
import { type Task, taskFrom } from "../tasks/index.ts";
import { settingDefaults } from "../train/index.ts";
import type { DataConfig, RunConfig } from "./config.ts";

/**
 * Fills in the columns of a data file that the configuration leaves open, by looking at the file.
 * @throws DATA_INVALID, DATA_NOT_FOUND
 */
export async function completeData(
  data: DataConfig,
): Promise<DataConfig & { readonly text: TableOptions["text"] }> {
  const { text, label, labelPattern } = data;
  if (text !== undefined && (label !== undefined || labelPattern !== undefined)) return { ...data, text };
  const { format, header, ...guess } = await guessTable(data.train, tableOptions(data));
  return {
    ...data,
    format: data.format ?? format,
    header: data.header ?? header,
    text: text ?? guess.text,
    ...(labelPattern === undefined && label === undefined
      ? {
          ...(guess.label !== undefined && { label: guess.label }),
          ...(guess.labelPattern && { labelPattern: guess.labelPattern }),
        }
      : {}),
  };
}

/** The options that say how a table file is read, for other files of the same form. */
export function tableOptions(data: DataConfig): Omit<TableOptions, "text"> {
  const { train, dev, test, devShare, splitSeed, text, ...table } = data;
  return table;
}

/** Reads the data set of a run. */
export async function readData(data: DataConfig & { readonly text: TableOptions["text"] }): Promise<Dataset> {
  const { train, splitSeed, ...options } = data;
  return readTable(train, { ...options, seed: splitSeed });
}

/** The task of a run; its labels are those of the data. */
export function taskOf(config: RunConfig, data: Dataset): Task {
  const { type, classWeights, ...head } = config.task;
  const weights = classWeights === "balanced" ? balancedWeights(data) : classWeights;
  const preset = config.preset && { preset: config.preset };
  return taskFrom(type, {
    labels: data.labels,
    ...preset,
    ...head,
    ...(weights && { classWeights: weights }),
  });
}

/** The method of a run. */
export function methodOf({ method: { name, ...options }, preset }: RunConfig): Method {
  return methodFrom(name, { ...(preset && { preset }), ...options });
}

/** n / (C · count) of each label, as scikit-learn's `class_weight="balanced"`. */
function balancedWeights({ train, labels }: Dataset): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { label } of train) counts.set(label!, (counts.get(label!) ?? 0) + 1);
  return Object.fromEntries(
    [...counts].map(([label, count]) => [label, train.length / (labels.length * count)]),
  );
}

/** The defaults of every section, for files that show them. */
export function configDefaults(): Partial<Record<keyof RunConfig, unknown>> {
  const method = methodFrom("p-tuning-v2", {});
  const { labels, ...task } = taskFrom("text-classification", { labels: ["a", "b"] }).options;
  return {
    data: { encoding: "utf-8", devShare: 0.1, splitSeed: 11 },
    task: { type: "text-classification", ...task },
    method: { name: method.name, ...method.options },
    training: { ...settingDefaults, learningRate: method.learningRate },
    report: { html: true, tensorboard: true },
  };
}
