import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { lazyJoin, PtuningError } from "../core/index.ts";
import type { Dataset, ExampleFile, ExampleKind, ExampleKinds } from "./example.ts";
import type { Split } from "./format.ts";
import { formats } from "./formats.ts";
import { HeldExamples } from "./held.ts";
import { isHubReference, locateHubDataset } from "./hub-dataset.ts";
import { kinds } from "./kinds.ts";
import { choosesColumns } from "./mapping.ts";
import { filesBySplit, noTrainingFile, type SplitFiles } from "./parts.ts";
import { collectExamples, formatsOf, type ReadOptionsFor } from "./read.ts";
import { readFolder } from "./source.ts";
import { splitOff } from "./split.ts";
import { formerCut, joinedCut, type WordCut } from "./word-cut.ts";

/** How a data set is read and split. */
export interface DatasetOptions extends ReadOptionsFor<ExampleKind> {
  /** Share of the training rows that becomes the dev set where no dev file is given. Default {@link usualDevShare}. */
  readonly devShare?: number;
  /** Share of the training rows that becomes the test set, taken before the dev set. Default 0. */
  readonly testShare?: number;
  /** Seed of these splits. Default 11. */
  readonly seed?: number;
  /** A dev file of its own, or several, in the same format. */
  readonly dev?: string | readonly string[];
  /** A test file, or several, in the same format. */
  readonly test?: string | readonly string[];
}

/** Share of the training rows that becomes the dev set where nobody says it. */
export const usualDevShare = 0.1;

/** What decides on the dev share where neither it nor dev data are given. */
export interface OpenSplit<E> {
  /** @param whole the data set before, with all training rows */
  readonly devShareOf?: (whole: Dataset<E>) => number;
}

/** Where examples are: a file, and which part of it. */
interface Part {
  readonly path: string;
  readonly split?: Split;
}

/** The files of each split. */
type Parts = { readonly [S in Split]?: readonly Part[] };

/**
 * Reads a data set for training, of any kind and format. `path` is a file, a folder with files or folders named
 * `train…`, `dev…` (or `val…`) and `test…`, a file that holds several splits, or `hf:owner/name[@revision][/config]`,
 * the Parquet files of a data set on the Hugging Face hub; or several of these, one after the other. Where there is
 * no dev set, a share of the training examples is split off, seeded, and on demand a test set before it; what belongs
 * together (see {@link splitOff}) is not parted.
 *
 * @throws DATA_NOT_FOUND, DATA_INVALID, OPTION_INVALID
 */
export async function readDataset<K extends ExampleKind>(
  path: string | readonly string[],
  options: DatasetOptions & OpenSplit<ExampleKinds[K]> & { readonly kind: K },
): Promise<Dataset<ExampleKinds[K]>> {
  const { devShare, devShareOf, testShare = 0, seed = 11, dev, test, ...reading } = options;
  for (const [name, share] of Object.entries({ devShare, testShare })) {
    if (share === undefined || (share >= 0 && share < 1)) continue;
    throw new PtuningError("OPTION_INVALID", `${name}: expected a number from 0 to below 1, got ${share}.`);
  }
  const given = {
    ...(dev !== undefined && { dev: files(dev) }),
    ...(test !== undefined && { test: files(test) }),
  };
  const parts: Parts = { ...(await findAllParts(path, options)), ...given };
  if (parts.test !== undefined && testShare > 0) {
    throw new PtuningError(
      "OPTION_INVALID",
      `testShare: expected no test data beside it, got ${parts.test.map((part) => part.path).join(", ")}.`,
      { hint: "Leave out testShare, or give the training file instead of the folder." },
    );
  }
  if (parts.train === undefined) throw noTrainingFile([path].flat().join(", "));
  const { files: filesRead, settled } = await readAlike<K>(parts, reading);
  const examplesOf = (name: Split): readonly ExampleKinds[K][] | undefined => {
    if (parts[name] === undefined) return undefined;
    return lazyJoin(filesRead.flatMap(({ split: own, file }) => (own === name ? [file.examples] : [])));
  };
  const all = examplesOf("train")!;
  const devExamples = examplesOf("dev");
  const testExamples = examplesOf("test");
  const { kept: train, taken: testTaken } = splitOff<ExampleKinds[K], K>(
    all,
    testShare,
    seed,
    options.kind,
    "test",
  );
  const { format, kind, offsets, ...columns } = reading;
  const hash = createHash("sha256");
  for (const { file } of filesRead) hash.update(file.sha256);
  const whole: Dataset<ExampleKinds[K]> = {
    train,
    dev: devExamples ?? [],
    test: testExamples ?? testTaken,
    labels: labelsOf(options.kind, train),
    table: { ...columns, ...settled },
    fingerprint: `sha256:${hash.digest("hex")}`,
    warnings: filesRead.flatMap(({ file }) => file.warnings),
    source: sourceOf(filesRead[0]!.file),
  };
  const named = new Set([...whole.labels, ...labelsOf(options.kind, whole.dev)]);
  if (named.size === 1) {
    throw new PtuningError(
      "DATA_INVALID",
      `${[path].flat().join(", ")}: expected at least two labels, got only "${[...named][0]}".`,
      {
        hint:
          options.label === undefined
            ? "Check which column holds the label."
            : `The labels were read from column "${options.label}". Say which column holds them: --label.`,
      },
    );
  }
  const share = devShare ?? (devExamples ? 0 : (devShareOf?.(whole) ?? usualDevShare));
  const split = devExamples
    ? { kept: train, taken: devExamples }
    : splitOff<ExampleKinds[K], K>(train, share, seed, options.kind);
  const trainLabels = labelsOf(options.kind, split.kept);
  const seen = new Set(trainLabels);
  const devOnly = labelsOf(options.kind, split.taken).filter((label) => !seen.has(label));
  const warnings = [...whole.warnings];
  if (devOnly.length > 0) {
    const named = devOnly.slice(0, 10).join(", ");
    const count = devOnly.length.toLocaleString("en");
    const what = devOnly.length === 1 ? "label occurs" : "labels occur";
    warnings.push(`${count} ${what} in the dev data only and cannot be learnt: ${named}.`);
  }
  const labels = [...trainLabels, ...devOnly].sort();
  return { ...whole, train: split.kept, dev: split.taken, labels, warnings };
}

interface ReadPart<E> {
  readonly split: Split;
  readonly file: ExampleFile<E>;
}

/**
 * Reads the files of all splits alike: what the first decides holds for all, as a short one alone may leave it open.
 * Only where words are cut all decide together.
 */
async function readAlike<K extends ExampleKind>(
  parts: Parts,
  reading: ReadOptionsFor<K>,
): Promise<{ files: ReadPart<ExampleKinds[K]>[]; settled: Readonly<Record<string, unknown>> }> {
  const listed = (["train", "dev", "test"] as const).flatMap((split) =>
    (parts[split] ?? []).map((part) => ({ split, part })),
  );
  const files: ReadPart<ExampleKinds[K]>[] = [];
  let settled: Readonly<Record<string, unknown>> = {};
  const held = new HeldExamples();
  const read = ({ path, split }: Part, more: object): Promise<ExampleFile<ExampleKinds[K]>> =>
    collectExamples<K>(path, { ...reading, ...settled, ...(split && { split }), ...more }, held);
  for (const { split, part } of listed) {
    const file = await read(part, {});
    files.push({ split, file });
    const { cut, ...others } = file.settled ?? {};
    settled = { ...others, ...settled };
  }
  const cuts = files.flatMap(({ file }) => (file.settled?.cut as WordCut | undefined) ?? []);
  if (cuts.length === 0) return { files, settled };
  const cut = joinedCut(cuts);
  for (const [i, { part }] of listed.entries()) {
    const { file, split } = files[i]!;
    if (JSON.stringify(file.settled?.cut ?? formerCut) === JSON.stringify(cut)) continue;
    const { warnings } = file;
    files[i] = { split, file: { ...(await read(part, { cut })), warnings } };
  }
  return { files, settled: { ...settled, cut } };
}

function sourceOf({ path, format, delimiter }: ExampleFile<unknown>): Dataset["source"] & {} {
  return { path, ...(format && { format }), ...(delimiter && { delimiter }) };
}

function labelsOf<K extends ExampleKind>(kind: K, examples: readonly ExampleKinds[K][]): string[] {
  const labels = new Set<string>();
  for (const example of examples) for (const label of kinds[kind].labels(example)) labels.add(label);
  return [...labels].sort();
}

function files(paths: string | readonly string[]): Part[] {
  return [paths].flat().map((path) => ({ path }));
}

/** The parts of several paths, one after the other. */
async function findAllParts(paths: string | readonly string[], options: DatasetOptions): Promise<Parts> {
  const all: { [S in Split]?: readonly Part[] } = {};
  for (const path of [paths].flat()) {
    for (const [split, parts] of Object.entries(await findParts(path, options)) as [Split, readonly Part[]][])
      all[split] = [...(all[split] ?? []), ...parts];
  }
  return all;
}

async function findParts(path: string, options: DatasetOptions): Promise<Parts> {
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
    const found = filesBySplit(path, await readFolder(path));
    return partsOf(
      Object.fromEntries(
        Object.entries(found).map(([part, entries]) => [part, entries.map((entry) => join(path, entry))]),
      ),
    );
  }
  const within = split === undefined && !choosesColumns(options) ? (format?.splits ?? []) : [];
  if (within.length === 0) return { train: [{ path, ...(split && { split }) }] };
  return Object.fromEntries(within.map((part) => [part, [{ path, split: part }]]));
}

function partsOf(bySplit: SplitFiles): Parts {
  return Object.fromEntries(Object.entries(bySplit).map(([split, paths]) => [split, files(paths)]));
}
