import { dataError, type FormatInput } from "./format.ts";
import { type Line, linesOf } from "./lines.ts";

/** The lines of one sentence of a column file. */
export interface Sentence {
  /** Of its first line. */
  readonly line: number;
  /** Cells of each word. */
  readonly rows: readonly (readonly string[])[];
  /** Lines that start with `#` in front of it, without the `#`. */
  readonly comments: readonly string[];
}

export const splitTabs = (text: string): string[] => text.split("\t");
const splitBlanks = (text: string): string[] => text.replace(/^[ \t]+|[ \t]+$/g, "").split(/[ \t]+/);

/** The cells of one line: between tabs or, where it has none, between blanks; none of a blank line. */
export function cellsOf(line: string): string[] {
  if (line.trim() === "") return [];
  return line.includes("\t") ? splitTabs(line) : splitBlanks(line);
}

/**
 * The sentences of a column file: one word per line, blank lines between sentences, cells separated by tabs or,
 * where a sentence has none, by blanks. `-DOCSTART-` lines are skipped. A line that starts with `#` is a comment,
 * which ends the sentence before it, unless it has as many cells as the rows around it; with `split` given it always
 * is. Sentences with rows of unequal length are rejected as a whole.
 */
export async function* sentencesOf(
  input: FormatInput,
  split?: (text: string) => string[],
): AsyncGenerator<Sentence> {
  let pending: Line[] = [];
  let last: { split: (text: string) => string[]; width: number } | undefined;
  function* finish(): Generator<Sentence> {
    const lines = pending;
    pending = [];
    const first = lines.find(({ text }) => !text.startsWith("#"));
    if (first !== undefined) {
      const chosen = split ?? (first.text.includes("\t") ? splitTabs : splitBlanks);
      last = { split: chosen, width: chosen(first.text).length };
    }
    let sentence: { line: number; rows: string[][]; comments: string[] } | undefined;
    let isBroken = false;
    for (const { line, text } of lines) {
      const cells = last?.split(text);
      const isRow = cells !== undefined && cells.length === last?.width;
      if (text.startsWith("#") && (split !== undefined || !isRow)) {
        if (sentence !== undefined && sentence.rows.length > 0) {
          yield sentence;
          sentence = undefined;
        }
        isBroken = false;
        sentence ??= { line, rows: [], comments: [] };
        sentence.comments.push(text.slice(1).trim());
        continue;
      }
      if (cells === undefined || !isRow) {
        const what = `expected ${last?.width} columns as in the lines before, got ${cells?.length ?? 1}`;
        if (!isBroken) input.reject(dataError(input.path, line, what));
        [isBroken, sentence] = [true, undefined];
      }
      if (isBroken || cells === undefined) continue;
      sentence ??= { line, rows: [], comments: [] };
      if (sentence.rows.length === 0) sentence.line = line;
      sentence.rows.push(cells);
    }
    if (sentence !== undefined && sentence.rows.length > 0) yield sentence;
  }
  for await (const line of linesOf(input)) {
    if (line.text.trim() === "" || line.text.startsWith("-DOCSTART-")) {
      yield* finish();
      continue;
    }
    pending.push(line);
    // A comment may separate documents where no blank line does.
    if (line.text.startsWith("#") && pending.length > 1000) yield* finish();
    if (pending.length > maxSentenceLines) {
      input.reject(
        dataError(input.path, line.line, `expected a blank line within ${maxSentenceLines} lines`),
      );
      pending = [];
    }
  }
  yield* finish();
}

/** Longer sentences are mistakes: a file without blank lines. */
const maxSentenceLines = 100_000;

/** A cell of every row, by its number from 1. */
export function column(sentence: Sentence, number: number, input: FormatInput): string[] {
  const { rows, line } = sentence;
  const width = rows[0]!.length;
  if (number > width) {
    throw dataError(input.path, line, `expected at least ${number} columns, got ${width}`);
  }
  return rows.map((cells) => cells[number - 1]!);
}
