import { createHash } from "node:crypto";
import { closest, PtuningError } from "../core/index.ts";
import type { Dataset, ExampleFile, TextExample } from "./example.ts";
import { type FormatName, formatOf, formats, type Row } from "./formats.ts";
import { splitOff } from "./split.ts";
import { openTextFile } from "./text-source.ts";

/** A column by name, or by number counted from 1 in files without a header. */
export type Column = string | number;

/** How one table file is read. */
export interface TableOptions {
  /** Column of the text, or of the two texts of a pair. */
  readonly text: Column | readonly [Column] | readonly [Column, Column];
  /** Column of the label; leave it out for data that is only to be predicted, or with a `labelPattern`. */
  readonly label?: Column;
  /**
   * Regular expression that finds the label inside a field, with a group named `label` and, where the field
   * holds the text as well, a group named `text`: `^(?<label>\w+):\S+ (?<text>.*)$` reads TREC's files. It is
   * applied to the label's column, or without one to the text's.
   */
  readonly labelPattern?: string;
  /** Default: by the file's name, else by how it starts. */
  readonly format?: FormatName;
  readonly delimiter?: string;
  /** Whether the first row of a CSV or TSV names the columns. Default: true if a column is given by name. */
  readonly header?: boolean;
  /** Default `utf-8`; others are named, never guessed. */
  readonly encoding?: string;
}

/**
 * Reads the examples of one table file: CSV, TSV, JSON lines or plain lines, gzipped or not.
 * Rows with an empty text or label are left out and counted.
 *
 * @throws DATA_NOT_FOUND, or DATA_INVALID naming file, line and what was expected
 */
export async function readExamples(path: string, options: TableOptions): Promise<ExampleFile> {
  const examples: TextExample[] = [];
  let [emptyTexts, emptyLabels] = [0, 0];
  const columns = [options.text, options.label].flat();
  const header = options.header ?? columns.some((column) => typeof column === "string");
  const { rows, sha256 } = await openRows(path, { ...options, header });
  const read = exampleReader(path, options);
  for await (const row of rows) {
    const example = read(row);
    if (example.text.trim() === "") emptyTexts++;
    else if (example.label === "") emptyLabels++;
    else examples.push(example);
  }
  const warnings = [
    ...(emptyTexts > 0 ? [`${path}: ${emptyTexts} rows with an empty text were left out.`] : []),
    ...(emptyLabels > 0 ? [`${path}: ${emptyLabels} rows with an empty label were left out.`] : []),
  ];
  if (examples.length === 0) {
    throw new PtuningError("DATA_INVALID", `${path}: expected rows with texts, got none.`, {
      hint: warnings[0] ?? "The file has a header at most.",
    });
  }
  return { path, examples, sha256: sha256(), warnings };
}

/** The rows of a table file as a stream, before columns are chosen. */
export async function openRows(
  path: string,
  options: Omit<TableOptions, "text">,
): Promise<{ rows: AsyncIterable<Row>; format: FormatName; sha256: () => string }> {
  const source = await openTextFile(path, options.encoding);
  const chunks = source.chunks[Symbol.asyncIterator]();
  const first = await chunks.next();
  const start: string = first.done ? "" : first.value;
  async function* all(): AsyncGenerator<string> {
    yield start;
    yield* { [Symbol.asyncIterator]: () => chunks };
  }
  const format = options.format ?? formatOf(path, start);
  const rows = formats[format](all(), {
    path,
    header: options.header ?? true,
    ...(options.delimiter && { delimiter: options.delimiter }),
  });
  return { rows, format, sha256: source.sha256 };
}

/** Turns rows into examples by the options' columns. */
function exampleReader(path: string, options: TableOptions): (row: Row) => TextExample {
  const [text, pair] = (Array.isArray(options.text) ? options.text : [options.text]) as Column[];
  const pattern = compilePattern(options.labelPattern);
  const field = ({ fields, line }: Row, column: Column): string => {
    const value = fields[column];
    if (value === undefined || value === null) throw missingColumn(path, line, column, fields);
    if (typeof value === "object") {
      throw new PtuningError(
        "DATA_INVALID",
        `${path}: line ${line}: "${column}": expected a text, a number or a truth value, got a nested one.`,
      );
    }
    return String(value);
  };
  return (row) => {
    let first = field(row, text!);
    let label = options.label === undefined ? undefined : field(row, options.label).trim();
    if (pattern !== undefined) {
      const subject = label ?? first;
      const groups = pattern.exec(subject)?.groups;
      if (groups?.label === undefined) {
        throw new PtuningError(
          "DATA_INVALID",
          `${path}: line ${row.line}: expected a text that matches ${pattern}, got "${subject.slice(0, 60)}".`,
        );
      }
      label = groups.label;
      first = groups.text ?? first;
    }
    return {
      text: first,
      ...(pair !== undefined && { pair: field(row, pair) }),
      ...(label !== undefined && { label }),
      line: row.line,
    };
  };
}

function compilePattern(source: string | undefined): RegExp | undefined {
  if (source === undefined) return undefined;
  try {
    const pattern = new RegExp(source, "u");
    if (source.includes("(?<label>")) return pattern;
  } catch (cause) {
    throw new PtuningError("OPTION_INVALID", `labelPattern: expected a regular expression, got ${source}.`, {
      cause,
    });
  }
  throw new PtuningError("OPTION_INVALID", "labelPattern: expected a group named label: (?<label>…).");
}

function missingColumn(path: string, line: number, column: Column, fields: Row["fields"]): PtuningError {
  const names = Object.keys(fields);
  const near = closest(String(column), names);
  return new PtuningError(
    "DATA_INVALID",
    `${path}: line ${line}: expected a column "${column}", got ${names.slice(0, 12).join(", ")}.`,
    {
      hint:
        near === undefined ? "Choose the columns with data.text and data.label." : `Did you mean "${near}"?`,
    },
  );
}

/** How a data set is read and split. */
export interface DatasetOptions extends TableOptions {
  /** Share of the training rows that becomes the dev set where no dev file is given. Default 0.1. */
  readonly devShare?: number;
  /** Seed of that split. Default 11. */
  readonly seed?: number;
  /** A dev file of its own, in the same format. */
  readonly dev?: string;
  /** A test file, in the same format. */
  readonly test?: string;
}

/**
 * Reads a labelled data set for training. Without a dev file a share of the rows is split off: seeded, the
 * same share of each label, equal texts on one side.
 *
 * @throws DATA_NOT_FOUND, DATA_INVALID, OPTION_INVALID
 * @example
 * const data = await readTable("examples/01-support-intents/train.csv", { text: "text", label: "intent" });
 * console.log(data.labels.length); // 8
 */
export async function readTable(path: string, options: DatasetOptions): Promise<Dataset> {
  const { devShare = 0.1, seed = 11, dev, test, ...table } = options;
  if (table.label === undefined && table.labelPattern === undefined) {
    throw new PtuningError("OPTION_INVALID", "label: expected the column of the labels, got none.");
  }
  if (!(devShare >= 0 && devShare < 1)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `devShare: expected a number from 0 to below 1, got ${devShare}.`,
    );
  }
  const trainFile = await readExamples(path, table);
  const devFile = dev === undefined ? undefined : await readExamples(dev, table);
  const testFile = test === undefined ? undefined : await readExamples(test, table);
  const split = devFile
    ? { kept: trainFile.examples, taken: devFile.examples }
    : splitOff(trainFile.examples, devShare, seed);
  const files = [trainFile, devFile, testFile].filter((file) => file !== undefined);
  const trainLabels = labelsOf(split.kept);
  const devOnly = labelsOf(split.taken).filter((label) => !trainLabels.includes(label));
  const warnings = files.flatMap((file) => file.warnings);
  if (devOnly.length > 0) {
    const named = devOnly.slice(0, 10).join(", ");
    warnings.push(`${devOnly.length} labels occur in the dev data only and cannot be learnt: ${named}.`);
  }
  const labels = [...trainLabels, ...devOnly].sort();
  if (labels.length < 2) {
    throw new PtuningError(
      "DATA_INVALID",
      `${path}: expected at least two labels, got only "${labels[0]}".`,
      {
        hint: "Check which column holds the label.",
      },
    );
  }
  const { format, ...columns } = table;
  const hash = createHash("sha256");
  for (const { sha256 } of files) hash.update(sha256);
  return {
    train: split.kept,
    dev: split.taken,
    test: testFile?.examples ?? [],
    labels,
    table: columns,
    fingerprint: `sha256:${hash.digest("hex")}`,
    warnings,
  };
}

function labelsOf(examples: readonly TextExample[]): string[] {
  return [...new Set(examples.map(({ label }) => label!))].sort();
}
