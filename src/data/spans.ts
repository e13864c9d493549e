/**
 * Texts with labelled spans, as annotation tools export them, become words with tags. What offsets count and where
 * words must be cut is decided once for a whole file, by a look ahead.
 */
import { type Counting, countingName, countings, OffsetReader } from "./counting.ts";
import type { TokenExample } from "./example.ts";
import { dataError, type FormatInput } from "./format.ts";
import { type OffsetRule, OffsetSurvey, rangeOf, type Stretch, saysSame } from "./offset-survey.ts";
import { CutSurvey, cutAt, defaultCut, isFine, isFormer, splitWords, type WordCut } from "./word-cut.ts";

/** A labelled stretch of a text, `[start, end)`. */
export interface Span extends Stretch {
  readonly label: string;
}

/** One text of a file, and what is marked in it. */
export interface SpanRecord {
  readonly line: number;
  /** What its file calls it, for messages: `task 12`. */
  readonly name?: string;
  readonly text: string;
  /** Absent: not annotated. */
  readonly spans?: readonly Span[];
  /** Other stretches of which the file says what stands there, such as tokens. */
  readonly evidence?: readonly Stretch[];
}

/** A file's records; reports what it cannot read to `input.reject`. */
type SpanRecords = (input: FormatInput) => AsyncIterable<SpanRecord>;

/**
 * The words and IOB2 tags of every record. White space at the ends of a span does not count.
 * @throws DATA_INVALID if the file's offsets can be read in several ways that nothing decides between
 */
export async function* taggedWords(
  input: FormatInput,
  records: SpanRecords,
  rule: OffsetRule,
): AsyncGenerator<TokenExample> {
  const reading = input.options.gold === false ? undefined : await lookAhead(input, records, rule);
  const cut = input.options.cut ?? reading?.cut ?? defaultCut;
  for await (const record of records(input)) {
    try {
      const example =
        reading === undefined || record.spans === undefined
          ? cutText(record.text, cut, record.line)
          : tagged(input, record, { ...reading, cut });
      if (example === undefined) input.notice("rows with an empty text were left out", "an empty text");
      else yield example;
    } catch (error) {
      input.reject(error);
    }
  }
}

/** A text without tags; `undefined` if it has no words. */
export function cutText(text: string, cut: WordCut, line?: number): TokenExample | undefined {
  const offsets = splitWords(text, cut);
  if (offsets.length === 0) return undefined;
  return {
    words: offsets.map(([start, end]) => text.slice(start, end)),
    text,
    offsets,
    ...(line !== undefined && { line }),
  };
}

/** How one file is read. */
interface Reading {
  readonly counting: Counting;
  readonly cut: WordCut;
  /** Spans may end inside words: words are cut there. */
  readonly cuts: "always" | "in scripts without blanks" | "never";
}

/** Reads the file once to find out how it must be read; what is wrong with it is said when it is read again. */
async function lookAhead(input: FormatInput, records: SpanRecords, rule: OffsetRule): Promise<Reading> {
  const { options, path } = input;
  const survey = new OffsetSurvey(rule, options.offsets === "auto" ? undefined : options.offsets);
  for await (const { line, text, spans = [], evidence = [] } of recordsOf(input, records)) {
    survey.add(line, text, [...spans, ...evidence]);
  }
  const { counting, reason, undecided } = survey.decide();
  if (undecided !== undefined) {
    const { line, other, shown } = undecided;
    throw dataError(
      path,
      line,
      `expected offsets that can be read in one way, got ${shown[0]} in ${countingName(counting)} and ${shown[1]} in ${countingName(other)}`,
      { hint: "Say what they count. data.offsets: utf-16, codepoints or graphemes." },
    );
  }
  if (reason !== undefined) input.note(reason);
  const { misaligned = "refuse" } = options;
  if (options.cut !== undefined) {
    const hasAffixes = (options.cut.endings ?? options.cut.beginnings) !== undefined;
    const cuts = hasAffixes || misaligned === "cut" ? "always" : "in scripts without blanks";
    return {
      counting,
      cut: options.cut,
      cuts: misaligned === "snap" || misaligned === "drop" ? "never" : cuts,
    };
  }
  if (misaligned === "snap" || misaligned === "drop") return { counting, cut: defaultCut, cuts: "never" };
  const cutSurvey = new CutSurvey();
  for await (const { text, spans = [], line } of recordsOf(input, records)) {
    cutSurvey.see(text);
    if (spans.length === 0) continue;
    const words = splitWords(text, defaultCut);
    const reader = new OffsetReader(text);
    for (const span of spans) {
      const range = placeOf(reader, { line, text }, span, counting);
      if (range !== undefined) cutSurvey.add(text, ...trimmed(text, range), words);
    }
  }
  const cut = cutSurvey.decide(misaligned === "cut");
  // Texts that every cut treats alike settle nothing.
  if (!isFormer(cut)) input.settle({ cut });
  const affixes = [...(cut.endings ?? []), ...(cut.beginnings ?? [])];
  if (affixes.length > 0) {
    const shown = affixes.slice(0, 5).join(", ");
    input.note(
      `words are cut at ${affixes.length === 1 ? "an ending or beginning" : `${affixes.length} endings and beginnings`} at which spans end inside them (${shown}${affixes.length > 5 ? ", …" : ""}), here and in predictions`,
    );
  } else if (cut.at === "characters") {
    input.note("every character of scripts without blanks is a word, as spans end inside dictionary words");
  }
  return { counting, cut, cuts: affixes.length > 0 ? "always" : "never" };
}

/** The records of a look ahead: what stops it will stop the reading as well, and is said there. */
async function* recordsOf(input: FormatInput, records: SpanRecords): AsyncGenerator<SpanRecord> {
  try {
    yield* records(input.ahead());
  } catch {
    // Said when the file is read.
  }
}

/** String indices of a span; where the file gives its text, another way of counting may hold it. */
function placeOf(
  reader: OffsetReader,
  { text }: Pick<SpanRecord, "text" | "line">,
  span: Span,
  counting: Counting,
): readonly [start: number, end: number] | undefined {
  const usual = rangeOf(reader, span, counting);
  if (span.text === undefined || (usual && saysSame(text.slice(...usual), span.text))) return usual;
  for (const other of countings(counting.unit)) {
    const range = rangeOf(reader, span, other);
    if (range !== undefined && saysSame(text.slice(...range), span.text)) return range;
  }
  return undefined;
}

function trimmed(text: string, [start, end]: readonly [number, number]): readonly [number, number] {
  const covered = text.slice(start, end);
  const blanks = covered.length - covered.trimStart().length;
  return [start + blanks, Math.max(start + blanks, start + covered.trimEnd().length)];
}

const quoted = (text: string, length = 40): string => JSON.stringify(text.slice(0, length));

function tagged(input: FormatInput, record: SpanRecord, reading: Reading): TokenExample | undefined {
  const { text, spans = [], line } = record;
  const cut = cutText(text, reading.cut, line);
  if (cut === undefined) return undefined;
  const reader = new OffsetReader(text);
  const stretches = spans.flatMap((span) => {
    const range = trimmed(text, checkedPlace(input, record, reader, span, reading.counting));
    if (range[0] < range[1]) return [{ range, label: span.label }];
    input.notice("spans of white space were left out");
    return [];
  });
  let offsets = cut.offsets!;
  for (const { range } of stretches) {
    const further = withBorders(text, offsets, range, reading.cuts);
    if (further === offsets) continue;
    offsets = further;
    if (input.options.cut !== undefined) {
      input.notice("spans end where predictions cut no words: words were cut there");
    }
  }
  const placed = stretches
    .map(({ range, label }) => wordsOf(input, record, reader, offsets, range, label))
    .filter((stretch) => stretch !== undefined)
    .toSorted((a, b) => b.last - b.first - (a.last - a.first) || a.first - b.first);
  const tags: string[] = new Array(offsets.length).fill("O");
  const seen = new Set<string>();
  for (const { first, last, label } of placed) {
    if (seen.has(`${first} ${last} ${label}`)) continue;
    seen.add(`${first} ${last} ${label}`);
    if (tags.slice(first, last + 1).some((tag) => tag !== "O")) {
      if (input.options.overlapping !== "longest") {
        const shown = quoted(text.slice(offsets[first]![0], offsets[last]![1]));
        throw fail(
          input,
          record,
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
  return { words: offsets.map(([start, end]) => text.slice(start, end)), tags, text, offsets, line };
}

function fail(
  { path }: FormatInput,
  { line, name }: Pick<SpanRecord, "line" | "name">,
  what: string,
  details?: { readonly hint: string },
): Error {
  return dataError(path, line, name === undefined ? what : `${name}: ${what}`, details);
}

const unitHint = "Offsets may count something else. data.offsets: utf-16, codepoints or graphemes.";

/** @throws DATA_INVALID if the span lies outside the text, or its text is not there */
function checkedPlace(
  input: FormatInput,
  record: SpanRecord,
  reader: OffsetReader,
  span: Span,
  counting: Counting,
): readonly [start: number, end: number] {
  const { text } = record;
  const found = placeOf(reader, record, span, counting);
  if (found !== undefined) return found;
  const range = rangeOf(reader, span, counting);
  if (range === undefined) {
    const length = reader.length(counting);
    throw fail(
      input,
      record,
      `expected spans inside a text of ${length} characters, got ${span.start} to ${span.end}`,
      reader.differsBefore(text.length) ? { hint: unitHint } : undefined,
    );
  }
  throw fail(
    input,
    record,
    `expected ${quoted(span.text!)} at ${span.start} to ${span.end}, as the file says, got ${quoted(text.slice(...range))}`,
    {
      hint: reader.differsBefore(range[0])
        ? unitHint
        : "Text and offsets are of different versions of the text: blanks may have been collapsed. Export again, or leave the span out.",
    },
  );
}

type Offsets = readonly (readonly [number, number])[];

/** The words, cut further where a span ends inside one of them. */
function withBorders(
  text: string,
  offsets: Offsets,
  [start, end]: readonly [number, number],
  cuts: Reading["cuts"],
): Offsets {
  if (cuts === "never") return offsets;
  const isTorn = ([from, to]: readonly [number, number]): boolean =>
    ((from < start && start < to) || (from < end && end < to)) &&
    (cuts === "always" || isFine(text.slice(from, to)));
  if (!offsets.some(isTorn)) return offsets;
  return offsets.flatMap((word) =>
    isTorn(word)
      ? cutAt(
          ...word,
          [start - word[0], end - word[0]].filter((at) => at > 0 && at < word[1] - word[0]),
        )
      : [word],
  );
}

/** First and last word of a span. */
function wordsOf(
  input: FormatInput,
  record: SpanRecord,
  reader: OffsetReader,
  offsets: Offsets,
  [start, end]: readonly [number, number],
  label: string,
): { first: number; last: number; label: string } | undefined {
  const { text } = record;
  const first = offsets.findIndex(([, wordEnd]) => wordEnd > start);
  const last = offsets.findLastIndex(([wordStart]) => wordStart < end);
  if (offsets[first]![0] !== start || offsets[last]![1] !== end) {
    const { misaligned = "refuse" } = input.options;
    if (misaligned === "drop") return input.notice("spans that end inside a word were left out");
    if (misaligned !== "snap") {
      const whole = quoted(text.slice(offsets[first]![0], offsets[last]![1]), 60);
      const shown = quoted(text.slice(start, end));
      throw fail(input, record, `expected a span that ends at word borders, got ${shown} in ${whole}`, {
        hint: reader.differsBefore(start)
          ? unitHint
          : "misaligned: cut cuts words there, also in predictions, snap widens such spans to whole words, drop leaves them out.",
      });
    }
    input.notice("spans that end inside a word were widened to whole words");
  }
  return { first, last, label };
}
