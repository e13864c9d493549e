import { type CsvRecord, csvRecords } from "./csv-records.ts";
import type { FormatInput } from "./format.ts";
import type { Column, ReadOptions } from "./options.ts";

/** How the cells of a file are separated. */
export interface Dialect {
  readonly delimiter: string;
  /** Whether `"` at the start of a cell quotes it. */
  readonly isQuoted: boolean;
}

const delimiters = [",", "\t", ";", "|"];

/** Records that the choice of a delimiter looks at. */
const sampleRecords = 50;

/**
 * The delimiter and quoting of a file with separated values, where nothing is said: the usual delimiter unless the
 * first records have none of it and as many of another; quotes of comma-separated files, and those of tab-separated ones
 * where all that open a cell close it.
 */
export async function dialectOf(input: FormatInput, usual: string): Promise<Dialect> {
  const { options } = input;
  const delimiter = options.delimiter ?? (await delimiterOf(input, usual));
  if (options.quotes !== undefined) return { delimiter, isQuoted: options.quotes };
  return { delimiter, isQuoted: delimiter !== "\t" || (await hasQuotedCells(input)) };
}

/** What separates cells, where nothing is said. */
export async function delimiterOf(input: FormatInput, usual: string): Promise<string> {
  const named = namedColumns(input.options);
  const start = await input.start();
  const fits = async (delimiter: string): Promise<number> => {
    const records = await recordsOf(input, start, delimiter);
    const [first] = records;
    if (first === undefined || records.length < 2) return 0;
    if (records.some(({ fields }) => fields.length !== first.fields.length)) return 0;
    const names = first.fields.map((name) => name.trim());
    return named.every((name) => names.includes(name)) ? first.fields.length : 0;
  };
  if ((await fits(usual)) > 1) return usual;
  let [best, most] = [usual, 1];
  for (const delimiter of delimiters) {
    const width = delimiter === usual ? 0 : await fits(delimiter);
    if (width > most) [best, most] = [delimiter, width];
  }
  // A column of texts alone has no delimiter, whatever its texts hold.
  const isSingle = named.length === 1 && start.split(/\r?\n/, 1)[0]!.trim() === named[0];
  return isSingle ? usual : best;
}

/** Columns that were chosen by name stand in the header. */
function namedColumns({ text, label, labels, score, header }: ReadOptions): string[] {
  if (header === false) return [];
  const chosen = [text, label, labels, score].flatMap((one) => (one ?? []) as Column | Column[]);
  return chosen.filter((column) => typeof column === "string");
}

/** The whole records at the start of a file; none if it cannot be cut so. */
async function recordsOf(input: FormatInput, start: string, delimiter: string): Promise<CsvRecord[]> {
  const records: CsvRecord[] = [];
  try {
    for await (const record of csvRecords(textInput(input, start), {
      delimiter,
      isQuoted: delimiter !== "\t",
    })) {
      records.push(record);
      if (records.length > sampleRecords) break;
    }
  } catch (error) {
    // The last record may be cut off in the middle of a quoted cell.
    if (records.length < 2) return [];
    if (!(error instanceof Stop)) throw error;
  }
  // Where the sample ends may be in the middle of a record.
  return records.length > sampleRecords || start.length < sampleCharacters
    ? records.slice(0, sampleRecords)
    : records.slice(0, -1);
}

/** Starts of files are this long at most. */
const sampleCharacters = 1 << 16;

/** What ends a look ahead: the text is no such file. */
class Stop extends Error {}

function textInput(input: FormatInput, text: string): FormatInput {
  return {
    ...input,
    async *text() {
      yield text;
    },
    reject() {
      throw new Stop();
    },
  };
}

/**
 * Whether a tab-separated file has quoted cells as Python's `csv` writes them: every quote that opens a cell closes it in
 * front of a tab or a line end, and the rows stay equally wide. Texts that merely begin with a quote do not.
 */
async function hasQuotedCells(input: FormatInput): Promise<boolean> {
  const ahead = input.ahead();
  let width: number | undefined;
  let quoted = 0;
  const looking: FormatInput = {
    ...ahead,
    reject() {
      throw new Stop();
    },
  };
  try {
    for await (const { fields, quoted: cells, lines } of csvRecords(looking, {
      delimiter: "\t",
      isQuoted: true,
      isLenient: true,
    })) {
      width ??= fields.length;
      if (fields.length !== width) return false;
      // A quote that swallowed rows: what looks like one cell holds cells of others.
      if (lines > 1 && fields.some((field) => /[\r\n]/.test(field) && field.includes("\t"))) return false;
      quoted += cells;
    }
  } catch (error) {
    if (error instanceof Stop) return false;
    throw error;
  }
  return quoted > 0;
}
