import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PtuningError } from "../core/index.ts";
import type { Dataset, ExampleFile, ExampleKind, ExampleKinds } from "./example.ts";
import type { Split } from "./format.ts";
import { formats } from "./formats.ts";
import { isHubReference, locateHubDataset } from "./hub-dataset.ts";
import { kinds } from "./kinds.ts";
import { choosesColumns } from "./mapping.ts";
import { filesBySplit, type SplitFiles } from "./parts.ts";
import { formatsOf, type ReadOptionsFor, readExamples } from "./read.ts";
import { splitOff } from "./split.ts";

/** How a data set is read and split. */
export interface DatasetOptions extends ReadOptionsFor<ExampleKind> {
  /** Share of the training rows that becomes the dev set where no dev file is given. Default 0.1. */
  readonly devShare?: number;
  /** Seed of that split. Default 11. */
  readonly seed?: number;
  /** A dev file of its own, in the same format. */
  readonly dev?: string;
  /** A test file, in the same format. */
  readonly test?: string;
}

/** Where the examples of one split are: files, and which part of them. */
interface Part {
  readonly paths: readonly string[];
  readonly split?: Split;
}

/**
 * Reads a data set for training, of any kind and format. `path` is a file, a folder with files or folders named
 * `train…`, `dev…` (or `val…`) and `test…`, a file that holds several splits, or `hf:owner/name[@revision][/config]`,
 * the Parquet files of a data set on the Hugging Face hub. Where there is no dev set, a share of
 * the training examples is split off, seeded; what belongs together (see {@link splitOff}) is not parted.
 *
 * @throws DATA_NOT_FOUND, DATA_INVALID, OPTION_INVALID
 */
export async function readDataset<K extends ExampleKind>(
  path: string,
  options: DatasetOptions & { readonly kind: K },
): Promise<Dataset<ExampleKinds[K]>> {
  const { devShare = 0.1, seed = 11, dev, test, ...reading } = options;
  if (!(devShare >= 0 && devShare < 1)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `devShare: expected a number from 0 to below 1, got ${devShare}.`,
    );
  }
  const parts = await findParts(path, options);
  if (parts.train === undefined) {
    throw new PtuningError(
      "DATA_NOT_FOUND",
      `${path}: expected a file for training, found none in the folder.`,
      {
        hint: "Name it train.… or give the path of the file.",
      },
    );
  }
  const files: ExampleFile<ExampleKinds[K]>[] = [];
  const read = async (part: Part | undefined): Promise<ExampleKinds[K][] | undefined> => {
    if (part === undefined) return undefined;
    const examples: ExampleKinds[K][] = [];
    for (const one of part.paths) {
      const file = await readExamples<K>(one, { ...reading, ...(part.split && { split: part.split }) });
      files.push(file);
      for (const example of file.examples) examples.push(example);
    }
    return examples;
  };
  const train = (await read(parts.train))!;
  const devExamples = await read(dev === undefined ? parts.dev : { paths: [dev] });
  const testExamples = await read(test === undefined ? parts.test : { paths: [test] });
  const split = devExamples
    ? { kept: train, taken: devExamples }
    : splitOff<ExampleKinds[K], K>(train, devShare, seed, options.kind);
  const trainLabels = labelsOf(options.kind, split.kept);
  const seen = new Set(trainLabels);
  const devOnly = labelsOf(options.kind, split.taken).filter((label) => !seen.has(label));
  const warnings = files.flatMap((file) => file.warnings);
  if (devOnly.length > 0) {
    const named = devOnly.slice(0, 10).join(", ");
    warnings.push(`${devOnly.length} labels occur in the dev data only and cannot be learnt: ${named}.`);
  }
  const labels = [...trainLabels, ...devOnly].sort();
  if (labels.length === 1) {
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected at least two labels, got only "${labels[0]}".`,
      {
        hint: "Check which column holds the label.",
      },
    );
  }
  const { format, kind, ...columns } = reading;
  const hash = createHash("sha256");
  for (const { sha256 } of files) hash.update(sha256);
  return {
    train: split.kept,
    dev: split.taken,
    test: testExamples ?? [],
    labels,
    table: columns,
    fingerprint: `sha256:${hash.digest("hex")}`,
    warnings,
  };
}

function labelsOf<K extends ExampleKind>(kind: K, examples: readonly ExampleKinds[K][]): string[] {
  const labels = new Set<string>();
  for (const example of examples) for (const label of kinds[kind].labels(example)) labels.add(label);
  return [...labels].sort();
}

async function findParts(path: string, options: DatasetOptions): Promise<{ [S in Split]?: Part }> {
  if (isHubReference(path)) return partsOf(await locateHubDataset(path));
  const isFolder = await stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
  const { kind = "text", split } = options;
  const names = options.format ? [options.format] : await formatsOf(path, options.encoding);
  const format = names.map((name) => formats[name]).find((one) => one?.readers[kind] !== undefined);
  // A format may take the folder as it is: parallel files.
  const isWhole = !isFolder || (format !== undefined && options.format === undefined);
  if (!isWhole) {
    const files = filesBySplit(path, await readdir(path));
    return partsOf(
      Object.fromEntries(
        Object.entries(files).map(([part, entries]) => [part, entries.map((entry) => join(path, entry))]),
      ),
    );
  }
  const within = split === undefined && !choosesColumns(options) ? (format?.splits ?? []) : [];
  if (within.length === 0) return { train: { paths: [path], ...(split && { split }) } };
  return Object.fromEntries(within.map((part) => [part, { paths: [path], split: part }]));
}

function partsOf(files: SplitFiles): { [S in Split]?: Part } {
  return Object.fromEntries(Object.entries(files).map(([split, paths]) => [split, { paths }]));
}
