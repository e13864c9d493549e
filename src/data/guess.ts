import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PtuningError } from "../core/index.ts";
import type { ExampleKind } from "./example.ts";
import { type FormatName, formats } from "./formats.ts";
import { isHubReference, locateHubDataset } from "./hub-dataset.ts";
import { choosesColumns, kindOfColumns } from "./mapping.ts";
import type { Column, ColumnOptions, ReadOptions } from "./options.ts";
import { filesBySplit, noTrainingFile } from "./parts.ts";
import { formatsOf, openRows } from "./read.ts";
import { startOf } from "./source.ts";

/** Rows that a guess looks at. */
const sampleRows = 1000;

/** What a data file seems to hold. */
export interface Guess {
  /** The file that was looked at: of a folder, one to train on. */
  readonly path: string;
  readonly kind: ExampleKind;
  readonly format: FormatName;
  /** How to read it: format, header and columns of a table; nothing for formats that say all by themselves. */
  readonly options: ReadOptions;
  /** Different labels among the rows looked at. */
  readonly labels: readonly string[];
  /** Rows looked at, and their columns; a file that is no table has none. */
  readonly rows: number;
  readonly columns: readonly string[];
}

interface ColumnFacts {
  readonly name: string;
  readonly values: string[];
  readonly distinct: number;
  readonly meanLength: number;
  /** Every value is a list. */
  readonly isList: boolean;
}

/** Patterns of plain-line files seen in the wild, tried in order. */
const linePatterns = [
  String.raw`^(?<label>[\w-]+):\S+ (?<text>.*)$`,
  String.raw`^(?<label>__label__\S+) (?<text>.*)$`,
  String.raw`^(?<label>\d+) (?<text>.*)$`,
];

const labelNames =
  /^(label|labels|class|class.?index|category|intent|sentiment|target|gold|y|type|entailment_judgment)$/i;
const textNames =
  /^(text|sentence|sentence_?[12ab]|premise|hypothesis|question|passage|title|description|message|utterance|content|review|sms|tweet|query)$/i;

const scoreNames = /^(score|similarity|relatedness(_score)?|rating|stars)$/i;
const wordNames = /^(tokens|words)$/i;
const choiceNames = /^(choice|choices|alternative|alternatives|ending|option|options)[ _]?\d*$/i;

/**
 * Guesses kind, format and columns of a labelled file from its first rows. A label column has few different values
 * that repeat; texts are long and differ.
 * @param kind what is known to be in it
 * @throws DATA_INVALID if no column looks like a text
 */
export async function guessReading(
  path: string,
  given: ReadOptions = {},
  kind?: ExampleKind,
): Promise<Guess> {
  const file = await trainingFile(path);
  const fitting = given.format ? [given.format] : await formatsOf(file, given.encoding);
  const format = fitting.find((name) => kind === undefined || formats[name].readers[kind] !== undefined);
  if (format !== undefined && formats[format].rows === undefined && !choosesColumns(given)) {
    const found = kind ?? (Object.keys(formats[format].readers)[0] as ExampleKind);
    const options = formats[format].guess?.(await startOf(file, given.encoding)) ?? {};
    return { path: file, kind: found, format, options, labels: [], rows: 0, columns: [] };
  }
  const table = await sample(file, given);
  if (table.format === "lines" && given.text === undefined && given.labelPattern === undefined) {
    return guessLines(file, table.columns[0]!, table.rows);
  }
  const found = kind ?? (choosesColumns(given) ? kindOfColumns(given) : kindOfTable(table.columns));
  const { columns, labels } = guessColumns(file, found, table, given);
  const hasHeader = formats[table.format].hasHeader === true;
  return {
    path: file,
    kind: found,
    format: table.format,
    options: { format: table.format, ...(hasHeader && { header: table.header }), ...columns },
    labels,
    rows: table.rows,
    columns: table.columns.map(({ name }) => name),
  };
}

/** The file itself, or of a folder or data set on the hub one that is trained on. */
async function trainingFile(path: string): Promise<string> {
  if (isHubReference(path)) return (await locateHubDataset(path)).train?.[0] ?? path;
  const status = await stat(path).catch(() => undefined);
  if (!status?.isDirectory() || (await formatsOf(path)).length > 0) return path;
  const [first] = filesBySplit(path, await readdir(path)).train ?? [];
  if (first === undefined) throw noTrainingFile(path);
  return join(path, first);
}

/** The kind of example that the columns of a table are named after. */
function kindOfTable(columns: readonly ColumnFacts[]): ExampleKind {
  const has = (pattern: RegExp): boolean => columns.some(({ name }) => pattern.test(name));
  if (has(wordNames)) return has(/^predicate(_index)?$/i) ? "roles" : "tokens";
  if (has(/^question$/i) && has(/^context$/i)) return "answers";
  return columns.filter(({ name }) => choiceNames.test(name)).length > 1 || has(/^(choices|options)$/i)
    ? "choices"
    : "text";
}

interface Table {
  readonly columns: readonly ColumnFacts[];
  readonly format: FormatName;
  readonly header: boolean;
  readonly rows: number;
}

function guessColumns(
  path: string,
  kind: ExampleKind,
  { columns, header }: Table,
  given: ReadOptions,
): { columns: ColumnOptions; labels: readonly string[] } {
  // Without a header columns are numbers.
  const column = ({ name }: ColumnFacts): Column => (header || !/^\d+$/.test(name) ? name : Number(name));
  // Words and answers are found by the usual names of their columns.
  if (kind === "tokens" || kind === "roles" || kind === "answers") return { columns: {}, labels: [] };
  const choices = kind === "choices" ? columns.filter(({ name }) => choiceNames.test(name)) : [];
  const rest = columns.filter((one) => !choices.includes(one));
  const lists = kind === "text" ? rest.filter(({ isList }) => isList) : [];
  const isLabel = ({ name, distinct, values, meanLength }: ColumnFacts): boolean =>
    distinct > 1 && distinct <= Math.max(2, values.length / 3) && (meanLength < 40 || labelNames.test(name));
  const scores = kind === "text" ? rest.filter((one) => isScore(one) && !labelNames.test(one.name)) : [];
  const single = rest.filter((one) => !lists.includes(one) && !scores.includes(one));
  const named = single.filter(({ name, distinct }) => labelNames.test(name) && distinct > 1);
  const candidates = named.length > 0 ? named : single.filter(isLabel);
  const label =
    lists.length > 0 || (scores.length > 0 && named.length === 0)
      ? undefined
      : candidates.toSorted((a, b) => a.distinct - b.distinct || a.meanLength - b.meanLength)[0];
  const texts = single
    .filter((one) => one !== label && !isNumeric(one) && one.distinct > one.values.length / 3)
    .toSorted(
      (a, b) =>
        Number(textNames.test(b.name)) - Number(textNames.test(a.name)) || b.meanLength - a.meanLength,
    );
  if (texts.length === 0 && given.text === undefined) {
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected a column of texts, got ${columns.map((c) => c.name).join(", ")}.`,
      {
        hint: "Say which columns to use: --text and --label.",
      },
    );
  }
  // Two texts make a pair only where both are named like texts.
  const pair = kind === "text" ? texts.filter(({ name }) => textNames.test(name)).slice(0, 2) : [];
  const chosen = pair.length === 2 ? columns.filter((one) => pair.includes(one)) : texts.slice(0, 1);
  return {
    columns: {
      text:
        given.text ??
        ((chosen.length === 1 ? column(chosen[0]!) : chosen.map(column)) as NonNullable<
          ColumnOptions["text"]
        >),
      ...(choices.length > 0 && { choices: choices.length > 1 ? choices.map(column) : column(choices[0]!) }),
      ...(label && { label: column(label) }),
      ...(lists[0] && { labels: column(lists[0]) }),
      ...(scores[0] && { score: column(scores[0]) }),
    },
    labels: label ? [...new Set(label.values)].sort() : [],
  };
}

/** Numbers that are no codes of classes. */
function isScore(column: ColumnFacts): boolean {
  const { name, values, distinct } = column;
  if (!isNumeric(column) || distinct < 3) return false;
  return scoreNames.test(name) || (distinct > 5 && values.some((value) => !Number.isInteger(Number(value))));
}

async function sample(path: string, given: ReadOptions): Promise<Table> {
  const opened = await openRows(path, { ...given, header: false });
  const records: Record<string, unknown>[] = [];
  for await (const { fields } of opened.rows) {
    records.push(fields);
    if (records.length > sampleRows) break;
  }
  const isTable = formats[opened.format].hasHeader === true;
  const first = Object.values(records[0] ?? {}).map(String);
  const header = isTable && (given.header ?? looksLikeHeader(first, records.slice(1)));
  const names = header ? first.map((name) => name.trim()) : Object.keys(records[0] ?? {});
  const body = header ? records.slice(1) : records;
  const columns = names.map((name, i): ColumnFacts => {
    const key = isTable ? String(i + 1) : name;
    const values = body.map((record) => String(record[key] ?? ""));
    return {
      name,
      values,
      distinct: new Set(values).size,
      meanLength: values.reduce((sum, value) => sum + value.length, 0) / Math.max(1, values.length),
      isList: body.length > 0 && body.every((record) => isListValue(record[key])),
    };
  });
  return { columns, format: opened.format, header, rows: body.length };
}

function isListValue(value: unknown): boolean {
  return Array.isArray(value) || (typeof value === "string" && /^\[.*\]$/s.test(value.trim()));
}

/** Names are short and do not occur as values below them. */
function looksLikeHeader(first: readonly string[], body: readonly Record<string, unknown>[]): boolean {
  if (first.some((name) => labelNames.test(name.trim()) || textNames.test(name.trim()))) return true;
  const isName = (name: string): boolean => /^[\p{L}_][\p{L}\p{N}_ .-]{0,40}$/u.test(name.trim());
  return first.every((name, i) => isName(name) && !body.some((record) => record[String(i + 1)] === name));
}

function isNumeric({ values }: ColumnFacts): boolean {
  return values.every((value) => value.trim() === "" || Number.isFinite(Number(value)));
}

function guessLines(path: string, { values }: ColumnFacts, rows: number): Guess {
  for (const labelPattern of linePatterns) {
    const pattern = new RegExp(labelPattern, "u");
    const labels = values.map((value) => pattern.exec(value)?.groups?.label);
    const distinct = new Set(labels);
    if (distinct.has(undefined) || distinct.size < 2 || distinct.size > values.length / 3) continue;
    const known = [...distinct].filter((label) => label !== undefined).sort();
    const options: ReadOptions = { format: "lines", text: 1, labelPattern };
    return { path, kind: "text", format: "lines", options, labels: known, rows, columns: ["1"] };
  }
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected a label in every line, found no pattern that fits.`,
    {
      hint: "Give a pattern with the groups label and text: --label-pattern '^(?<label>\\w+)\\t(?<text>.*)$'",
    },
  );
}
