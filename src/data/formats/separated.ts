import { pipeline, Readable } from "node:stream";
import { type CsvError, parse } from "csv-parse";
import { dataError, type Format, type FormatInput, type Row } from "../format.ts";
import { maxRecordCharacters, tooLong } from "../lines.ts";
import { tableReaders } from "../mapping.ts";

type CsvRecord = { readonly record: string[]; readonly info: { readonly lines: number } };

/** Values separated by a delimiter, as Python's `csv` reads them: line ends \n, \r\n and \r, also mixed. */
function separated(title: string, extensions: RegExp, fallback: string, quote: string | false): Format {
  async function* rows(input: FormatInput): AsyncGenerator<Row> {
    const { delimiter = fallback, header = true } = input.options;
    // Without quotes and header, trailing fields of some rows are harmless (STS-B's files have them).
    const mayGrow = quote === false && !header;
    // Record positions are where records end; the next starts behind.
    let line = 1;
    const parser = parse({
      bom: true,
      delimiter,
      quote: delimiter === "\t" ? false : quote,
      info: true,
      record_delimiter: ["\r\n", "\n", "\r"],
      skip_empty_lines: true,
      relax_column_count_more: mayGrow,
      skip_records_with_error: input.options.damaged === "skip",
      max_record_size: maxRecordCharacters,
      on_skip: (error) => {
        if (error !== undefined) input.reject(asDataError(error, input.path));
      },
    });
    // Errors of the source end the parser too, and the loop below throws them.
    pipeline(Readable.from(input.text()), parser, () => {});
    let names: string[] | undefined;
    try {
      for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
        const start = line;
        line = info.lines + 1;
        if (names === undefined) {
          names = header ? columnNames(record, input.path) : record.map((_, i) => String(i + 1));
          if (header) continue;
        }
        const fields: Record<string, string> = Object.create(null);
        for (let i = 0; i < record.length; i++) fields[names[i] ?? String(i + 1)] = record[i]!;
        yield { line: start, fields };
      }
    } catch (error) {
      throw asDataError(error, input.path);
    }
  }
  return {
    title,
    readers: tableReaders(rows),
    rows,
    hasHeader: true,
    fits: ({ name, start }) => extensions.test(name) || looksSeparated(name, start, fallback),
  };
}

/** Files whose name says nothing: the delimiter stands in each of the first lines. */
function looksSeparated(name: string, start: string, delimiter: string): boolean {
  if (delimiter !== "\t" || /\.\w+$/.test(name) || /^\s*[[{]/.test(start)) return false;
  return start.split("\n", 1)[0]!.includes(delimiter);
}

function columnNames(record: readonly string[], path: string): string[] {
  const names = record.map((name) => name.trim());
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated === undefined) return names;
  throw dataError(path, 1, `the column "${repeated}" occurs twice`);
}

function asDataError(error: unknown, path: string): unknown {
  if (!(error instanceof Error && "code" in error) || !("column" in error || "lines" in error)) return error;
  const { code, lines = 0, message } = error as CsvError & { lines?: number };
  if (code === "CSV_MAX_RECORD_SIZE") return tooLong(path, lines);
  const what: Readonly<Record<string, string>> = {
    CSV_RECORD_INCONSISTENT_FIELDS_LENGTH:
      "expected as many fields as in the rows before, got another number",
    CSV_RECORD_INCONSISTENT_COLUMNS: "expected as many fields as in the rows before, got another number",
    CSV_QUOTE_NOT_CLOSED: "a quote is opened and never closed",
    CSV_INVALID_CLOSING_QUOTE: "expected a delimiter or a line end behind a closing quote",
    INVALID_OPENING_QUOTE: "a quote stands inside a field that does not start with one",
  };
  if (!code.startsWith("CSV_") && !(code in what)) return error;
  return dataError(path, lines, what[code] ?? message.replace(/\.$/, ""), {
    hint: "Check the delimiter and the quotes. Tab-separated files with bare quotes are read with format: tsv.",
    cause: error,
  });
}

/** Comma-separated values, quoted with `"`. */
export const csv: Format = separated("CSV", /\.csv$/, ",", '"');

/** Tab-separated values without quotes. */
export const tsv: Format = separated("TSV", /\.(tsv|tab)$/, "\t", false);
