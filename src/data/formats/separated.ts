import { shown } from "../../core/index.ts";
import { restoreCell, rowColumn } from "../cells.ts";
import { csvRecords } from "../csv-records.ts";
import { delimiterOf, dialectOf } from "../dialect.ts";
import { dataError, type Format, type FormatInput, isUntold, type Row } from "../format.ts";
import { tableReaders } from "../mapping.ts";

/** Values separated by a delimiter, as Python's `csv` reads them. */
function separated(title: string, extensions: RegExp, fallback: string): Format {
  async function* rows(input: FormatInput): AsyncGenerator<Row> {
    const { header = true } = input.options;
    const dialect = await dialectOf(input, fallback);
    const isTabs = dialect.delimiter === "\t";
    // Without quotes and header, trailing fields of some rows are harmless (STS-B's files have them).
    const mayGrow = isTabs && !dialect.isQuoted && !header;
    let names: string[] | undefined;
    const check = ({ length }: readonly string[]): string | undefined => {
      if (names === undefined || length === names.length || (mayGrow && length > names.length))
        return undefined;
      return `expected ${names.length} fields as in the rows before, got ${length}`;
    };
    for await (const record of csvRecords(input, { ...dialect, isLenient: isTabs }, check)) {
      if (names === undefined) {
        names = header ? columnNames(record.fields, input.path) : record.fields.map((_, i) => String(i + 1));
        if (header) continue;
      }
      const fields: Record<string, string> = Object.create(null);
      // Tables that predict wrote: what was escaped there is as it was.
      const isOwn = header && names[0] === rowColumn;
      for (let i = 0; i < record.fields.length; i++) {
        const field = record.fields[i]!;
        fields[names[i] ?? String(i + 1)] = isOwn ? restoreCell(field) : field;
      }
      yield { line: record.line, fields };
    }
  }
  return {
    title,
    readers: tableReaders(rows),
    rows,
    hasHeader: true,
    async dialect(input) {
      const delimiter = input.options.delimiter ?? (await delimiterOf(input, fallback));
      return delimiter === fallback ? undefined : delimiter;
    },
    fits: ({ name, start }) =>
      (extensions.test(name) && !isJson(start)) || looksSeparated(name, start, fallback),
  };
}

/** A header never begins as records in JSON do. */
const isJson = (start: string): boolean => /^\s*(?:\{\s*"|\[\s*\{)/.test(start);

/**
 * Files whose name does not say it: the delimiter stands in the first line, and in a text file as often in all of the
 * first lines.
 */
function looksSeparated(name: string, start: string, delimiter: string): boolean {
  const isText = /\.txt$/.test(name);
  if (delimiter !== "\t" || !(isText || isUntold(name)) || /^\s*[[{]/.test(start)) return false;
  const lines = start.split("\n").slice(0, isText ? textLines : 1);
  // The last line may be cut off.
  const whole = lines.length < 2 ? lines : lines.slice(0, -1);
  const counts = new Set(whole.map((line) => line.split(delimiter).length));
  return counts.size === 1 && !counts.has(1);
}

/** Lines of a text file that must have as many delimiters. */
const textLines = 50;

/** Columns without a name get one, as pandas gives them: rows that are written with their numbers have one. */
function columnNames(record: readonly string[], path: string): string[] {
  const names = record.map((name, i) => name.trim() || `Unnamed: ${i}`);
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated === undefined) return names;
  throw dataError(path, 1, `the column ${shown(repeated)} occurs twice`, {
    hint: "If the first row is an example, say header: false.",
  });
}

/** Comma-separated values, quoted with `"`. */
export const csv: Format = separated("CSV", /\.csv$/, ",");

/** Tab-separated values, with quotes where all that open a cell close it. */
export const tsv: Format = separated("TSV", /\.(tsv|tab)$/, "\t");
