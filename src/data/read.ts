import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { closest, PtuningError } from "../core/index.ts";
import type { ExampleFile, ExampleKind, ExampleKinds } from "./example.ts";
import type { FileLook, Format, FormatInput, Row } from "./format.ts";
import { type FormatName, formats } from "./formats.ts";
import { HeldExamples } from "./held.ts";
import { isDataError } from "./lines.ts";
import { choosesColumns, kindOfColumns } from "./mapping.ts";
import type { ReadOptions } from "./options.ts";
import { PackedExamples } from "./packed.ts";
import { type DataRecord, RecordFollower } from "./records.ts";
import { openBytesAt, openTextFile, readFolder, startOf } from "./source.ts";

/** A file whose examples come as a stream. */
export interface OpenedExamples<E> {
  readonly format: FormatName;
  readonly kind: ExampleKind;
  readonly examples: AsyncIterable<E>;
  /** SHA-256 of the bytes on disk; complete once all examples were read. */
  sha256(): string;
  /** What was noticed so far, with counts. */
  warnings(): string[];
  /** What was decided for the whole file; known once the first example was read. */
  settled(): Partial<ReadOptions>;
}

/** {@link ReadOptions} that say which kind of example is wanted. */
export type ReadOptionsFor<K extends ExampleKind> = ReadOptions & { readonly kind?: K };

/**
 * Opens a data file, or a folder of parallel files, as a stream of examples: memory stays flat however large it
 * is. The format is the one that is named, else the first that the file looks like.
 *
 * @throws DATA_NOT_FOUND, OPTION_INVALID, or DATA_INVALID naming file, line and what was expected
 */
export function openExamples<K extends ExampleKind = "text">(
  path: string,
  options: ReadOptionsFor<K> = {},
): Promise<OpenedExamples<ExampleKinds[K]>> {
  return open<K>(path, options);
}

async function open<K extends ExampleKind>(
  path: string,
  options: ReadOptionsFor<K>,
  follower?: RecordFollower,
): Promise<OpenedExamples<ExampleKinds[K]>> {
  const look = await lookAt(path, options.encoding);
  const { name, kind } = chooseFormat(path, look, options);
  const reader = formats[name].readers[kind as K];
  if (reader === undefined) throw new PtuningError("OPTION_INVALID", refusal(path, name, kind, look));
  const input = openInput(path, withHeader(options), follower);
  const { sha256, warnings, settled } = input;
  return { format: name, kind, examples: reader(input), sha256, warnings, settled };
}

/** A file whose records come as a stream, each with its number, also where it gives no example. */
export interface OpenedRecords<E> extends Omit<OpenedExamples<E>, "examples"> {
  readonly records: AsyncIterable<DataRecord<E>>;
}

/**
 * The same as {@link openExamples} for answers that must be matched with their file: every record comes, numbered, with
 * its line and, where it has one, its id. One without a text gives no example but says why; so does one that cannot be
 * read, where `damaged` is `skip`.
 *
 * @throws DATA_NOT_FOUND, OPTION_INVALID, or DATA_INVALID naming file, line and what was expected
 */
export async function openRecords<K extends ExampleKind = "text">(
  path: string,
  options: ReadOptionsFor<K> = {},
): Promise<OpenedRecords<ExampleKinds[K]>> {
  const follower = new RecordFollower(options.id);
  const { examples, ...opened } = await open<K>(path, options, follower);
  async function* records(): AsyncGenerator<DataRecord<ExampleKinds[K]>> {
    for await (const example of examples) yield* follower.give<ExampleKinds[K]>(example);
    yield* follower.end();
  }
  return { ...opened, records: records() };
}

/**
 * Reads all examples of one file or folder. Rows with an empty text or label are left out and counted.
 *
 * @throws DATA_NOT_FOUND, OPTION_INVALID, or DATA_INVALID naming file, line and what was expected
 */
export async function readExamples<K extends ExampleKind = "text">(
  path: string,
  options: ReadOptionsFor<K> = {},
): Promise<ExampleFile<ExampleKinds[K]>> {
  return collectExamples(path, options, new HeldExamples());
}

/**
 * The same as {@link readExamples}, where other files are held in memory, too.
 * @throws DATA_INVALID, beside what is wrong with the file, where memory ends
 */
export async function collectExamples<K extends ExampleKind>(
  path: string,
  options: ReadOptionsFor<K>,
  held: HeldExamples,
): Promise<ExampleFile<ExampleKinds[K]>> {
  const opened = await openExamples<K>(path, options);
  const packed = new PackedExamples<ExampleKinds[K]>();
  for await (const example of opened.examples) held.add(example, packed.push(example), path);
  const examples = packed.finish();
  const warnings = opened.warnings();
  if (examples.length === 0) {
    const { title } = formats[opened.format];
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected rows with ${opened.kind} (${title}), got none.`,
      {
        hint: warnings[0] ?? "The file has a header at most.",
      },
    );
  }
  const { format } = opened;
  const delimiter = await formats[format].dialect?.(openInput(path, options));
  return {
    path,
    examples,
    sha256: opened.sha256(),
    warnings,
    format,
    settled: opened.settled(),
    ...(delimiter !== undefined && { delimiter }),
  };
}

/** A table whose columns are not chosen yet. */
export interface OpenedRows {
  readonly rows: AsyncIterable<Row>;
  readonly format: FormatName;
  /** SHA-256 of the bytes on disk; complete once all rows were read. */
  sha256(): string;
  /** What separates cells, where it is another character than the format's name says. */
  delimiter?(): Promise<string | undefined>;
}

/** The rows of a table file as a stream, before columns are chosen. */
export async function openRows(path: string, options: ReadOptions): Promise<OpenedRows> {
  const look = await lookAt(path, options.encoding);
  const name = options.format ?? fitting(look).find((format) => formats[format].rows !== undefined);
  const rows = name === undefined ? undefined : formats[name].rows;
  if (name === undefined || rows === undefined) {
    throw new PtuningError("DATA_INVALID", `${path}: expected a table, got ${describe(look)}.`, {
      hint: `Tables are: ${namesOf((format) => format.rows !== undefined)}.`,
    });
  }
  const input = openInput(path, options);
  const { dialect } = formats[name];
  return {
    rows: rows(input),
    format: name,
    sha256: input.sha256,
    ...(dialect && { delimiter: () => dialect(openInput(path, options)) }),
  };
}

/** The formats that a file looks like, likeliest first. */
export async function formatsOf(path: string, encoding?: string): Promise<FormatName[]> {
  return fitting(await lookAt(path, encoding));
}

function fitting(look: FileLook): FormatName[] {
  return namesList().filter((name) => formats[name].fits(look));
}

function namesList(): FormatName[] {
  return Object.keys(formats) as FormatName[];
}

function namesOf(wanted: (format: Format) => boolean): string {
  return namesList()
    .filter((name) => wanted(formats[name]))
    .join(", ");
}

async function lookAt(path: string, encoding?: string): Promise<FileLook> {
  const name = basename(path).toLowerCase().replace(/\.gz$/, "");
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) return { name, start: "", entries: (await readFolder(path)).sort() };
  return { name, start: (await startOf(path, encoding)).replace(/^\ufeff/, ""), entries: [] };
}

function describe({ name, entries }: FileLook): string {
  return entries.length > 0 ? `a folder with ${entries.slice(0, 6).join(", ")}` : `"${name}"`;
}

/** Columns that the user chose are read from a table; else special formats go before tables. */
function chooseFormat(
  path: string,
  look: FileLook,
  options: ReadOptions,
): { name: FormatName; kind: ExampleKind } {
  const named = options.format;
  if (named !== undefined && !Object.hasOwn(formats, named)) {
    const near = closest(named, namesList());
    throw new PtuningError(
      "OPTION_INVALID",
      `format: expected one of ${namesList().join(", ")}, got "${named}".`,
      near === undefined ? {} : { hint: `Did you mean "${near}"?` },
    );
  }
  const asTable = choosesColumns(options);
  const candidates = (named === undefined ? fitting(look) : [named]).filter(
    (name) => !asTable || formats[name].rows !== undefined,
  );
  const kindOf = (name: FormatName): ExampleKind =>
    options.kind ??
    (formats[name].rows ? kindOfColumns(options) : (Object.keys(formats[name].readers)[0] as ExampleKind));
  const name = candidates.find((one) => formats[one].readers[kindOf(one)] !== undefined);
  if (name !== undefined) return { name, kind: kindOf(name) };
  if (candidates.length > 0) {
    throw new PtuningError("OPTION_INVALID", refusal(path, candidates[0]!, kindOf(candidates[0]!), look));
  }
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected a data file of a known format, got ${describe(look)}.`,
    {
      hint: `Name its format: ${namesOf((format) => options.kind === undefined || format.readers[options.kind] !== undefined)}.`,
    },
  );
}

function refusal(path: string, name: FormatName, kind: ExampleKind, look: FileLook): string {
  const others = namesOf((format) => format.readers[kind] !== undefined);
  const fits = fitting(look).filter((one) => formats[one].readers[kind] !== undefined);
  const looks = fits.length > 0 ? ` The file looks like ${fits.join(" or ")}.` : "";
  return `${path}: expected a format with ${kind} (${others}), got ${name}.${looks}`;
}

/** The options that choose columns of a table. */
const columnKeys = [
  ...(["text", "label", "labels", "score", "group", "choices", "tokens", "tags"] as const),
  ...(["predicate", "question", "context", "answers", "id"] as const),
] satisfies readonly (keyof ReadOptions)[];

/** The first row of a table names the columns if one is chosen by name. */
function withHeader(options: ReadOptions): ReadOptions {
  if (options.header !== undefined) return options;
  const columns = columnKeys.flatMap((key) => options[key] ?? []);
  return { ...options, header: columns.length === 0 || columns.some((column) => typeof column === "string") };
}

interface OpenInput extends FormatInput {
  sha256(): string;
  warnings(): string[];
  settled(): Partial<ReadOptions>;
}

function openInput(path: string, options: ReadOptions, follower?: RecordFollower): OpenInput {
  const hashes: (() => string)[] = [];
  const notices = new Map<string, number>();
  const rejected: string[] = [];
  let rejections = 0;
  const notes: string[] = [];
  let settled: Partial<ReadOptions> = {};
  const tolerant = options.damaged === "skip";
  return {
    path,
    options,
    async *text(file) {
      const source = await openTextFile(file === undefined ? path : join(path, file), {
        ...options,
        tolerant,
      });
      hashes.push(source.sha256);
      yield* source.chunks;
    },
    async bytes() {
      const source = await openBytesAt(path, options);
      hashes.push(() => source.sha256);
      return source;
    },
    begin(line, fields) {
      follower?.begin(line, fields);
    },
    reject(error) {
      if (!tolerant || !isDataError(error)) throw error;
      if (follower !== undefined) {
        follower.reject(error);
        return;
      }
      rejections++;
      if (rejected.length < 3) rejected.push(error.message.replace(`${path}: `, "").replace(/\.$/, ""));
    },
    start: async () => (await startOf(path, options.encoding)).replace(/^\ufeff/, ""),
    ahead: () => openInput(path, options),
    settle(decided) {
      settled = { ...settled, ...decided };
    },
    settled: () => settled,
    notice(what, reason) {
      if (reason !== undefined && follower !== undefined) {
        follower.leaveOut(reason);
        return undefined;
      }
      notices.set(what, (notices.get(what) ?? 0) + 1);
      return undefined;
    },
    note(what) {
      notes.push(what);
      return undefined;
    },
    sha256() {
      if (hashes.length === 1) return hashes[0]!();
      const hash = createHash("sha256");
      for (const one of hashes) hash.update(one());
      return hash.digest("hex");
    },
    warnings() {
      const found = [
        ...notes.map((what) => `${path}: ${what}.`),
        ...[...notices].map(([what, count]) => `${path}: ${count} ${what}.`),
      ];
      if (rejections > 0) {
        found.push(`${path}: ${rejections} damaged records were left out: ${rejected.join("; ")}.`);
      }
      return found;
    },
  };
}
