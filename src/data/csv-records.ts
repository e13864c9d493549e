import { PtuningError } from "../core/index.ts";
import { dataError, type FormatInput } from "./format.ts";
import { isDamaged, maxRecordCharacters, noText, tooLong } from "./lines.ts";

/** One record of separated values. */
export interface CsvRecord {
  /** Line that it starts on. */
  readonly line: number;
  readonly fields: string[];
  /** How many of its cells are in quotes. */
  readonly quoted: number;
  /** How many lines it takes. */
  readonly lines: number;
}

/** How records are cut. */
export interface CsvDialect {
  readonly delimiter: string;
  /** Whether `"` at the start of a cell quotes it. */
  readonly isQuoted: boolean;
  /** Quotes inside cells that do not start with one are characters like others, not errors. */
  readonly isLenient?: boolean;
}

const quote = 0x22;
const newline = 0x0a;
const carriageReturn = 0x0d;

/** What one attempt to read a record ends with: the place behind it, or why there is none. */
type Attempt = { readonly end: number; readonly quoted: number } | { readonly wrong: string } | "incomplete";

/**
 * The records of separated values, as Python's `csv` reads them: line ends \n, \r\n and \r, quotes doubled inside
 * quoted fields, blank lines skipped. Quotes at other places are errors, unless `isLenient`. Behind a record that is rejected reading goes on
 * with the line after its first, so that a stray quote hides no other record.
 * Our own parser: with csv-parse reading took a quarter of the time from CSV to tokens (bench/csv.mjs).
 */
export async function* csvRecords(
  input: FormatInput,
  dialect: CsvDialect,
  check: (fields: readonly string[]) => string | undefined = () => undefined,
): AsyncGenerator<CsvRecord> {
  const { delimiter } = dialect;
  if (delimiter.length !== 1) {
    throw new PtuningError("OPTION_INVALID", `delimiter: expected one character, got "${delimiter}".`);
  }
  const chunks = input.text()[Symbol.asyncIterator]();
  try {
    let [buffer, at, line, isLast] = ["", 0, 1, false];
    for (;;) {
      const fields: string[] = [];
      const attempt = readRecord(buffer, at, isLast, dialect, fields);
      let wrong: string | undefined;
      if (attempt === "incomplete") {
        if (buffer.length - at <= maxRecordCharacters) {
          const next = await chunks.next();
          if (next.done) isLast = true;
          else [buffer, at] = [buffer.slice(at) + next.value, 0];
          continue;
        }
        input.reject(tooLong(input.path, line));
      } else if ("end" in attempt) {
        if (attempt.end === at) return;
        const isBlank = fields.length === 1 && fields[0] === "" && buffer.charCodeAt(at) !== quote;
        wrong = isBlank ? undefined : check(fields);
        if (wrong === undefined) {
          const lines = lineEnds(buffer, at, attempt.end);
          if (fields.some(isDamaged)) input.reject(noText(input.path, line));
          else if (!isBlank) yield { line, fields, quoted: attempt.quoted, lines };
          line += lines;
          at = attempt.end;
          continue;
        }
      } else wrong = attempt.wrong;
      if (wrong !== undefined) {
        input.reject(
          dataError(input.path, line, wrong, {
            hint: "Check the delimiter and the quotes. Tab-separated files with bare quotes are read with format: tsv.",
          }),
        );
      }
      at = nextLine(buffer, at);
      line++;
    }
  } finally {
    // The file is closed also where reading ends before it does.
    await chunks.return?.();
  }
}

/** Reads one record from `start`; the buffer may end before it does. */
function readRecord(
  text: string,
  start: number,
  isLast: boolean,
  { delimiter, isQuoted, isLenient = false }: CsvDialect,
  fields: string[],
): Attempt {
  const separator = delimiter.charCodeAt(0);
  let quoted = 0;
  let at = start;
  for (;;) {
    if (at >= text.length && !isLast) return "incomplete";
    let end = at;
    if (isQuoted && text.charCodeAt(at) === quote) {
      let close = text.indexOf('"', at + 1);
      let hasDoubled = false;
      while (close >= 0 && text.charCodeAt(close + 1) === quote) {
        hasDoubled = true;
        close = text.indexOf('"', close + 2);
      }
      if (close < 0) return isLast ? { wrong: "a quote is opened and never closed" } : "incomplete";
      if (close + 1 >= text.length && !isLast) return "incomplete";
      const field = text.slice(at + 1, close);
      fields.push(hasDoubled ? field.replaceAll('""', '"') : field);
      quoted++;
      end = close + 1;
    } else {
      let code = text.charCodeAt(end);
      while (end < text.length && code !== separator && code !== newline && code !== carriageReturn) {
        if (code === quote && isQuoted && !isLenient) {
          return { wrong: "a quote stands inside a field that does not start with one" };
        }
        code = text.charCodeAt(++end);
      }
      if (end >= text.length && !isLast) return "incomplete";
      fields.push(text.slice(at, end));
    }
    if (end >= text.length) return { end, quoted };
    const code = text.charCodeAt(end);
    if (code === separator) at = end + 1;
    else if (code === newline) return { end: end + 1, quoted };
    else if (code === carriageReturn) {
      if (end + 1 >= text.length && !isLast) return "incomplete";
      return { end: text.charCodeAt(end + 1) === newline ? end + 2 : end + 1, quoted };
    } else return { wrong: "expected a delimiter or a line end behind a closing quote" };
  }
}

/** How many line ends stand in a part of a text. */
function lineEnds(text: string, start: number, end: number): number {
  let count = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === newline || (code === carriageReturn && text.charCodeAt(at + 1) !== newline)) count++;
  }
  return count;
}

/** The place behind the next line end. */
function nextLine(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === newline) return at + 1;
    if (code === carriageReturn) return text.charCodeAt(at + 1) === newline ? at + 2 : at + 1;
  }
  return text.length;
}
