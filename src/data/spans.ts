import type { TokenExample } from "./example.ts";
import { dataError, type FormatInput } from "./format.ts";

/** A labelled stretch of a text, `[start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly label: string;
}

/** What an offset counts: JavaScript string indices, or code points as Python does. */
export type OffsetUnit = "utf-16" | "code points";

const word =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]\p{M}*|(?:(?![\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}])[\p{L}\p{M}\p{N}_])+|\S/gu;

/**
 * The words of a text as `[start, end)`: runs of letters, digits, marks and `_`; every other character that is not
 * white space is a word by itself, and so is every Chinese character and kana.
 */
export function splitWords(text: string): (readonly [start: number, end: number])[] {
  return [...text.matchAll(word)].map(({ index, 0: found }) => [index, index + found.length] as const);
}

/**
 * The words and IOB2 tags of a text with labelled spans. White space at the ends of a span does not count. Spans
 * that end inside a word, or overlap, are treated as the options say and counted.
 * @throws DATA_INVALID
 */
export function taggedWords(
  input: FormatInput,
  line: number,
  text: string,
  spans: readonly Span[] | undefined,
  unit: OffsetUnit,
): TokenExample | undefined {
  const offsets = splitWords(text);
  if (offsets.length === 0) return input.notice("rows with an empty text were left out");
  const words = offsets.map(([start, end]) => text.slice(start, end));
  if (spans === undefined) return { words, text, offsets, line };
  const indexOf = unit === "utf-16" ? undefined : codePointIndices(text);
  const stretches = spans
    .map((span) => stretchOf(input, line, text, offsets, span, indexOf))
    .filter((stretch) => stretch !== undefined)
    .toSorted((a, b) => b.last - b.first - (a.last - a.first) || a.first - b.first);
  const tags: string[] = new Array(words.length).fill("O");
  const seen = new Set<string>();
  for (const { first, last, label } of stretches) {
    if (seen.has(`${first} ${last} ${label}`)) continue;
    seen.add(`${first} ${last} ${label}`);
    if (tags.slice(first, last + 1).some((tag) => tag !== "O")) {
      if (input.options.overlapping !== "longest") {
        const shown = JSON.stringify(text.slice(offsets[first]![0], offsets[last]![1]).slice(0, 40));
        throw dataError(
          input.path,
          line,
          `expected spans that do not overlap, got ${shown} inside or across another`,
          {
            hint: "overlapping: longest keeps the longest of them.",
          },
        );
      }
      input.notice("spans that overlap a longer one were left out");
      continue;
    }
    for (let i = first; i <= last; i++) tags[i] = `${i === first ? "B" : "I"}-${label}`;
  }
  return { words, tags, text, offsets, line };
}

/** First and last word of a span. */
function stretchOf(
  input: FormatInput,
  line: number,
  text: string,
  offsets: readonly (readonly [number, number])[],
  span: Span,
  indexOf: Int32Array | undefined,
): { first: number; last: number; label: string } | undefined {
  const at = (offset: number): number | undefined =>
    indexOf === undefined ? (offset <= text.length ? offset : undefined) : indexOf[offset];
  let [start, end] = [at(span.start), at(span.end)];
  if (start === undefined || end === undefined || span.start < 0 || start >= end) {
    throw dataError(
      input.path,
      line,
      `expected spans inside a text of ${indexOf ? indexOf.length - 1 : text.length} characters, got ${span.start} to ${span.end}`,
    );
  }
  const covered = text.slice(start, end);
  start += covered.length - covered.trimStart().length;
  end -= covered.length - covered.trimEnd().length;
  if (start >= end) return input.notice("spans of white space were left out");
  const first = offsets.findIndex(([, wordEnd]) => wordEnd > start);
  const last = offsets.findLastIndex(([wordStart]) => wordStart < end);
  if (offsets[first]![0] !== start || offsets[last]![1] !== end) {
    const { misaligned = "refuse" } = input.options;
    if (misaligned === "refuse") {
      const shown = JSON.stringify(covered.slice(0, 40));
      const whole = JSON.stringify(text.slice(offsets[first]![0], offsets[last]![1]).slice(0, 60));
      throw dataError(
        input.path,
        line,
        `expected a span that ends at word borders, got ${shown} in ${whole}`,
        {
          hint: "misaligned: snap widens such spans to whole words, drop leaves them out.",
        },
      );
    }
    if (misaligned === "drop") return input.notice("spans that end inside a word were left out");
    input.notice("spans that end inside a word were widened to whole words");
  }
  return { first, last, label: span.label };
}

/** String index of each code point of a text, and of its end. */
function codePointIndices(text: string): Int32Array {
  const indices: number[] = [];
  let index = 0;
  for (const character of text) {
    indices.push(index);
    index += character.length;
  }
  return Int32Array.from([...indices, index]);
}
