import { dataError, type FormatInput } from "./format.ts";
import { isDamaged, type Line, linesOf, noText } from "./lines.ts";

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

/** Whether a cell can be a tag of a span, in any scheme. */
export const isTag = (cell: string): boolean => /^([BIESLU]-\S+|O)$/.test(cell);

/** How the lines of a column file are told apart. */
export interface SentenceOptions {
  /** Cuts lines into cells; default: at tabs or, in a sentence without any, at blanks. Every `#` line is a comment. */
  readonly split?: (text: string) => string[];
  /** Whether a `#` line with as many cells as the rows around it is a word. */
  readonly isWord?: (cells: readonly string[]) => boolean;
}

/**
 * The sentences of a column file: one word per line, blank lines between sentences. `-DOCSTART-` lines are skipped. A
 * comment ends the sentence before it. Sentences with rows of unequal length are rejected as a whole.
 */
export async function* sentencesOf(
  input: FormatInput,
  { split, isWord = () => split === undefined }: SentenceOptions = {},
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
      const isRow = cells !== undefined && cells.length === last?.width && !isDamaged(text);
      if (text.startsWith("#") && !(isRow && isWord(cells))) {
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
        if (!isBroken)
          input.reject(isDamaged(text) ? noText(input.path, line) : dataError(input.path, line, what));
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

/** What a whole column file says of its lines. */
export interface ColumnFacts {
  /** Whether a `#` line with as many cells as the rows around it is a word. */
  readonly isWord: (cells: readonly string[]) => boolean;
  /** The last column, from 1, that holds tags and nothing else; `undefined` where none does. */
  readonly tagColumn: number | undefined;
}

/**
 * Finds out for a whole file where its tags are and which of its `#` lines are words: those that end like other rows,
 * with a tag. Where others have as many cells by chance they are words only if such lines also stand inside sentences,
 * or start differently every time as hashtags do.
 */
export async function columnFacts(input: FormatInput, given: number | undefined): Promise<ColumnFacts> {
  const tags = new Set<string>();
  const tagOf = (cells: readonly string[]): string => cells[(given ?? cells.length) - 1] ?? "";
  const doubtful: { readonly first: string; readonly tag: string; readonly isFirst: boolean }[] = [];
  let tagColumns: number[] | undefined;
  try {
    for await (const { rows } of sentencesOf(input.ahead())) {
      let isFirst = true;
      for (const cells of rows) {
        const tag = tagOf(cells);
        if (cells[0]!.startsWith("#")) {
          if (!cells.slice(1).some(isTag)) doubtful.push({ first: cells[0]!, tag, isFirst });
          continue;
        }
        // Several comments may stand in front of a sentence.
        isFirst = false;
        if (tags.size < maxTags) tags.add(tag);
        tagColumns = (tagColumns ?? [...cells.keys()].slice(1)).filter((i) => isTag(cells[i] ?? ""));
      }
    }
  } catch {
    // Said when the file is read.
  }
  const open = doubtful.filter(({ tag }) => !tags.has(tag));
  const starts = new Set(open.map(({ first }) => first));
  const areWords = open.some(({ isFirst }) => !isFirst) || (starts.size > 1 && starts.size > open.length / 2);
  return {
    isWord: (cells) => cells.length === 1 || areWords || cells.slice(1).some(isTag) || tags.has(tagOf(cells)),
    tagColumn: tagColumns?.length ? tagColumns.at(-1)! + 1 : undefined,
  };
}

/** A file with more kinds of tags has none: its last column holds something else. */
const maxTags = 10_000;

/** A cell of every row, by its number from 1. */
export function column(sentence: Sentence, number: number, input: FormatInput): string[] {
  const { rows, line } = sentence;
  const width = rows[0]!.length;
  if (number > width) {
    throw dataError(input.path, line, `expected at least ${number} columns, got ${width}`);
  }
  return rows.map((cells) => cells[number - 1]!);
}
