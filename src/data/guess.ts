import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ColumnFacts } from "./column-facts.ts";
import { choiceNames, wordNames } from "./column-names.ts";
import type { ExampleKind } from "./example.ts";
import type { Row } from "./format.ts";
import { type FormatName, formats } from "./formats.ts";
import { type Gold, guessColumns, letterColumns } from "./guess-columns.ts";
import { guessLines } from "./guess-lines.ts";
import { looksLikeHeader } from "./header.ts";
import { isHubReference, locateHubDataset } from "./hub-dataset.ts";
import { choosesColumns, kindOfColumns } from "./mapping.ts";
import type { ReadOptions } from "./options.ts";
import { filesBySplit, noTrainingFile } from "./parts.ts";
import { formatsOf, openRows } from "./read.ts";
import { readFolder, startOf } from "./source.ts";

/** What a data file seems to hold. */
export interface Guess {
  /** The file that was looked at: of a folder, one to train on. */
  readonly path: string;
  readonly kind: ExampleKind;
  readonly format: FormatName;
  /** How to read it: format, header and columns of a table; nothing for formats that say all by themselves. */
  readonly options: ReadOptions;
  /** Different labels of all rows. */
  readonly labels: readonly string[];
  /** Rows of the file, and their columns; a file that is no table has none. */
  readonly rows: number;
  readonly columns: readonly string[];
  /** What separates the cells, where it is not what the format's name says. */
  readonly delimiter?: string;
  /** Other columns that could hold what is learnt. */
  readonly others?: readonly string[];
}

/**
 * Guesses kind, format and columns of a labelled file from all its rows.
 * @param kind what is known to be in it
 * @param gold what is known to be learnt
 * @throws DATA_INVALID if no column looks like a text, or several like what is learnt
 */
export async function guessReading(
  path: string,
  given: ReadOptions = {},
  kind?: ExampleKind,
  gold?: Gold,
): Promise<Guess> {
  const file = await trainingFile(path);
  const fitting = given.format ? [given.format] : await formatsOf(file, given.encoding);
  const format = fitting.find((name) => kind === undefined || formats[name]?.readers[kind] !== undefined);
  if (format !== undefined && formats[format].rows === undefined && !choosesColumns(given)) {
    const found = kind ?? (Object.keys(formats[format].readers)[0] as ExampleKind);
    const options = formats[format].guess?.(await startOf(file, given.encoding), given) ?? {};
    return { path: file, kind: found, format, options, labels: [], rows: 0, columns: [] };
  }
  if (format === "lines" && given.text === undefined && given.labelPattern === undefined) {
    // Words of plain lines have no tags: there is nothing to look for.
    if (kind === "tokens") {
      return { path: file, kind, format, options: { format, text: 1 }, labels: [], rows: 0, columns: ["1"] };
    }
    return { path: file, kind: "text", format, columns: ["1"], ...(await guessLines(file, given)) };
  }
  const table = await survey(file, given);
  const found = kind ?? (choosesColumns(given) ? kindOfColumns(given) : kindOfTable(table.columns));
  const { columns, labels, others } = guessColumns({ path: file, ...table }, found, given, gold);
  const hasHeader = formats[table.format].hasHeader === true;
  return {
    path: file,
    kind: found,
    format: table.format,
    options: { format: table.format, ...(hasHeader && { header: table.header }), ...columns },
    labels,
    rows: table.rows,
    columns: table.columns.map(({ name }) => name),
    ...(table.delimiter !== undefined && { delimiter: table.delimiter }),
    ...(others.length > 0 && { others }),
  };
}

/** The file itself, or of a folder or data set on the hub one that is trained on. */
async function trainingFile(path: string): Promise<string> {
  if (isHubReference(path)) return (await locateHubDataset(path)).train?.[0] ?? path;
  const status = await stat(path).catch(() => undefined);
  if (!status?.isDirectory() || (await formatsOf(path)).length > 0) return path;
  const [first] = filesBySplit(path, await readFolder(path)).train ?? [];
  if (first === undefined) throw noTrainingFile(path);
  return join(path, first);
}

/** The kind of example that the columns of a table are named after. */
function kindOfTable(columns: readonly ColumnFacts[]): ExampleKind {
  const has = (pattern: RegExp): boolean => columns.some(({ name }) => pattern.test(name));
  if (has(wordNames)) return has(/^predicate(_index)?$/i) ? "roles" : "tokens";
  if (has(/^question$/i) && has(/^context$/i)) return "answers";
  const isChoice =
    columns.filter(({ name }) => choiceNames.test(name)).length > 1 ||
    has(/^(choices|options)$/i) ||
    letterColumns(columns).length > 2;
  return isChoice ? "choices" : "text";
}

interface Surveyed {
  readonly columns: readonly ColumnFacts[];
  readonly format: FormatName;
  readonly header: boolean;
  readonly rows: number;
  readonly delimiter?: string;
}

/** All rows of a table go by once; what is kept of them is bounded. */
async function survey(path: string, given: ReadOptions): Promise<Surveyed> {
  const opened = await openRows(path, { ...given, header: false });
  const isTable = formats[opened.format].hasHeader === true;
  let first: Row | undefined;
  const facts = new Map<string, ColumnFacts>();
  let rows = 0;
  for await (const row of opened.rows) {
    if (first === undefined) {
      first = row;
      for (const key of Object.keys(row.fields)) facts.set(key, new ColumnFacts(key));
      if (isTable) continue;
    }
    if (!isTable) addKeys(facts, row, rows);
    rows++;
    for (const [key, one] of facts) one.add(row.line, row.fields[key]);
  }
  const columns = [...facts.values()];
  const names = Object.values(first?.fields ?? {}).map((value) => String(value).trim());
  const header = isTable && (given.header ?? looksLikeHeader(names, columns));
  if (header) for (const [i, one] of columns.entries()) one.name = names[i] || `Unnamed: ${i}`;
  else if (isTable && first !== undefined) {
    rows++;
    for (const [key, one] of facts) one.add(first.line, first.fields[key]);
  }
  const delimiter = await opened.delimiter?.();
  return { columns, format: opened.format, header, rows, ...(delimiter !== undefined && { delimiter }) };
}

/** More keys than these are no columns. */
const maxColumns = 1000;

/** Records of JSON may have keys that those before have not. */
function addKeys(facts: Map<string, ColumnFacts>, { fields }: Row, rows: number): void {
  for (const key of Object.keys(fields)) {
    if (facts.has(key) || facts.size >= maxColumns) continue;
    const one = new ColumnFacts(key);
    one.count = rows;
    facts.set(key, one);
  }
}
