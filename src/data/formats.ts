import { pipeline, Readable } from "node:stream";
import { type CsvError, parse } from "csv-parse";
import { PtuningError } from "../core/index.ts";

/** One record of a table, with the line that it starts on. */
export interface Row {
  readonly line: number;
  /** By column name; without a header by number, from `"1"`. */
  readonly fields: Readonly<Record<string, unknown>>;
}

interface FormatOptions {
  /** For messages. */
  readonly path: string;
  /** CSV and TSV: the first row names the columns. */
  readonly header: boolean;
  readonly delimiter?: string;
}

/** Turns text into rows. */
export type Format = (chunks: AsyncIterable<string>, options: FormatOptions) => AsyncGenerator<Row>;

/** Longer records are mistakes: a quote that is never closed, a file that is not a table. */
const maxRecordCharacters = 1_000_000;

function tooLong(path: string, line: number): PtuningError {
  return new PtuningError(
    "DATA_INVALID",
    `${path}: line ${line}: expected records of at most ${maxRecordCharacters} characters, got a longer one.`,
    { hint: "Check the delimiter and the quotes; shorten or remove the record." },
  );
}

function separated(defaultDelimiter: string, quote: string | false): Format {
  return async function* rows(chunks, { path, header, delimiter = defaultDelimiter }) {
    // Record positions are where records end; the next starts behind.
    let line = 1;
    const parser = parse({
      bom: true,
      delimiter,
      quote: delimiter === "\t" ? false : quote,
      info: true,
      skip_empty_lines: true,
      max_record_size: maxRecordCharacters,
    });
    // Errors of the source end the parser too, and the loop below throws them.
    pipeline(Readable.from(chunks), parser, () => {});
    let names: string[] | undefined;
    try {
      for await (const { record, info } of parser as AsyncIterable<{
        record: string[];
        info: { lines: number };
      }>) {
        const start = line;
        line = info.lines + 1;
        if (names === undefined) {
          names = header ? columnNames(record, path) : record.map((_, i) => String(i + 1));
          if (header) continue;
        }
        const fields: Record<string, string> = Object.create(null);
        for (let i = 0; i < names.length; i++) fields[names[i]!] = record[i]!;
        yield { line: start, fields };
      }
    } catch (error) {
      throw asDataError(error, path);
    }
  };
}

function columnNames(record: readonly string[], path: string): string[] {
  const names = record.map((name) => name.trim());
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated === undefined) return names;
  throw new PtuningError("DATA_INVALID", `${path}: line 1: the column "${repeated}" occurs twice.`);
}

function asDataError(error: unknown, path: string): unknown {
  if (error instanceof PtuningError || !(error instanceof Error && "code" in error)) return error;
  const { code, lines = 0, message } = error as CsvError & { lines?: number };
  if (code === "CSV_MAX_RECORD_SIZE") return tooLong(path, lines);
  const what: Readonly<Record<string, string>> = {
    CSV_RECORD_INCONSISTENT_COLUMNS: "expected as many fields as in the rows before, got another number",
    CSV_QUOTE_NOT_CLOSED: "a quote is opened and never closed",
    CSV_INVALID_CLOSING_QUOTE: "expected a delimiter or a line end behind a closing quote",
    INVALID_OPENING_QUOTE: "a quote stands inside a field that does not start with one",
  };
  if (!code.startsWith("CSV_") && !(code in what)) return error;
  return new PtuningError("DATA_INVALID", `${path}: line ${lines}: ${what[code] ?? message}.`, {
    hint: "Check the delimiter and the quotes. Tab-separated files with bare quotes are read with format: tsv.",
    cause: error,
  });
}

/** Lines of a text with their numbers; line ends may be \n or \r\n. */
async function* linesOf(
  chunks: AsyncIterable<string>,
  path: string,
): AsyncGenerator<{ line: number; text: string }> {
  let [rest, line] = ["", 0];
  const strip = (text: string): string => (text.endsWith("\r") ? text.slice(0, -1) : text);
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    for (const part of parts) yield { line: ++line, text: strip(part) };
    if (rest.length > maxRecordCharacters) throw tooLong(path, line + 1);
  }
  if (rest !== "") yield { line: line + 1, text: strip(rest) };
}

async function* jsonLines(chunks: AsyncIterable<string>, { path }: FormatOptions): AsyncGenerator<Row> {
  for await (const { line, text } of linesOf(chunks, path)) {
    if (text.trim() === "") continue;
    if (text.length > maxRecordCharacters) throw tooLong(path, line);
    let fields: unknown;
    try {
      fields = JSON.parse(text);
    } catch (cause) {
      throw new PtuningError("DATA_INVALID", `${path}: line ${line}: expected a JSON object.`, { cause });
    }
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
      throw new PtuningError(
        "DATA_INVALID",
        `${path}: line ${line}: expected a JSON object, got another value.`,
      );
    }
    yield { line, fields: fields as Record<string, unknown> };
  }
}

async function* plainLines(chunks: AsyncIterable<string>, { path }: FormatOptions): AsyncGenerator<Row> {
  for await (const { line, text } of linesOf(chunks, path)) {
    if (text.length > maxRecordCharacters) throw tooLong(path, line);
    if (text.trim() !== "") yield { line, fields: { "1": text } };
  }
}

/** Names of table formats; `lines` is plain text, a record per line. */
export type FormatName = "csv" | "tsv" | "jsonl" | "lines";

/** Every table format, by its name in configs. */
export const formats: { readonly [F in FormatName]: Format } = {
  csv: separated(",", '"'),
  tsv: separated("\t", false),
  jsonl: jsonLines,
  lines: plainLines,
};

const extensions: Readonly<Record<string, FormatName>> = {
  csv: "csv",
  tsv: "tsv",
  tab: "tsv",
  jsonl: "jsonl",
  ndjson: "jsonl",
  txt: "lines",
};

/** The format of a file by its name, or by how its text starts. */
export function formatOf(path: string, start: string): FormatName {
  const extension = /\.([^./\\]+)(\.gz)?$/.exec(path)?.[1]?.toLowerCase() ?? "";
  const known = extensions[extension];
  if (known !== undefined) return known;
  if (start.trimStart().startsWith("{")) return "jsonl";
  return start.split("\n", 1)[0]!.includes("\t") ? "tsv" : "lines";
}
