import { PtuningError } from "../core/index.ts";
import { type FormatName, formats } from "./formats.ts";
import type { Column } from "./options.ts";
import { openRows } from "./read.ts";
import type { TableOptions } from "./table.ts";

/** Rows that a guess looks at. */
const sampleRows = 1000;

/** What a data file seems to hold. */
export interface Guess {
  readonly format: FormatName;
  readonly header: boolean;
  readonly text: readonly [Column] | readonly [Column, Column];
  readonly label?: Column;
  readonly labelPattern?: string;
  /** Different labels among the rows looked at. */
  readonly labels: readonly string[];
  readonly rows: number;
  readonly columns: readonly string[];
}

interface ColumnFacts {
  readonly name: string;
  readonly values: string[];
  readonly distinct: number;
  readonly meanLength: number;
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
  /^(text|sentence|sentence1|sentence2|premise|hypothesis|question|passage|title|description|message|utterance|content|review|sms|tweet|query)$/i;

/**
 * Guesses format and columns of a labelled file from its first rows: a label column has few different values
 * that repeat; texts are long and differ.
 * @throws DATA_INVALID if no column looks like a text
 */
export async function guessTable(path: string, given: Partial<TableOptions> = {}): Promise<Guess> {
  const { columns, format, header, rows } = await sample(path, given);
  if (format === "lines") return guessLines(path, columns[0]!, rows);
  const isLabel = ({ name, distinct, values, meanLength }: ColumnFacts): boolean =>
    distinct > 1 && distinct <= Math.max(2, values.length / 3) && (meanLength < 40 || labelNames.test(name));
  const named = columns.filter((column) => labelNames.test(column.name) && column.distinct > 1);
  const candidates = named.length > 0 ? named : columns.filter(isLabel);
  const label = candidates.toSorted((a, b) => a.distinct - b.distinct || a.meanLength - b.meanLength)[0];
  const texts = columns
    .filter((column) => column !== label && !isNumeric(column) && column.distinct > column.values.length / 3)
    .toSorted(
      (a, b) =>
        Number(textNames.test(b.name)) - Number(textNames.test(a.name)) || b.meanLength - a.meanLength,
    );
  if (texts.length === 0) {
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected a column of texts, got ${columns.map((c) => c.name).join(", ")}.`,
      {
        hint: "Say which columns to use: --text and --label.",
      },
    );
  }
  // Two texts make a pair only where both are named like texts.
  const pair = texts.filter(({ name }) => textNames.test(name)).slice(0, 2);
  const chosen = pair.length === 2 ? columns.filter((column) => pair.includes(column)) : [texts[0]!];
  const column = (facts: ColumnFacts): Column => (header ? facts.name : Number(facts.name));
  return {
    format,
    header,
    text: chosen.map(column) as [Column] | [Column, Column],
    ...(label && { label: column(label) }),
    labels: label ? [...new Set(label.values)].sort() : [],
    rows,
    columns: columns.map(({ name }) => name),
  };
}

async function sample(
  path: string,
  given: Partial<TableOptions>,
): Promise<{ columns: ColumnFacts[]; format: FormatName; header: boolean; rows: number }> {
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
    };
  });
  return { columns, format: opened.format, header, rows: body.length };
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
    return { format: "lines", header: false, text: [1], labelPattern, labels: known, rows, columns: ["1"] };
  }
  throw new PtuningError(
    "DATA_INVALID",
    `${path}: expected a label in every line, found no pattern that fits.`,
    {
      hint: "Give a pattern with the groups label and text: --label-pattern '^(?<label>\\w+)\\t(?<text>.*)$'",
    },
  );
}
