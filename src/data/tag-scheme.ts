import { PtuningError } from "../core/index.ts";

/**
 * How tags of single words spell spans of words. A prefix says where in the span a word stands, the rest is the type.
 *
 * | scheme | first | inside | last | only word |
 * |---|---|---|---|---|
 * | `IOB1` | `I`, or `B` right after a span of the same type | `I` | `I` | as first |
 * | `IOB2` | `B` | `I` | `I` | `B` |
 * | `IOBES` | `B` | `I` | `E` | `S` |
 * | `BILOU` | `B` | `I` | `L` | `U` |
 *
 * Words outside all spans are `O`.
 */
export type TagScheme = "IOB1" | "IOB2" | "IOBES" | "BILOU";

/** Where a scheme lets the tags of single words stand, by their prefixes. */
interface SchemeRules {
  /** May stand first, and behind every tag that may stand last. */
  readonly opening: string;
  /** May stand last: the word ends a span or stands outside. */
  readonly closing: string;
  /** What else may stand behind a tag, by its prefix, where both are of one type. */
  readonly within: Readonly<Record<string, string>>;
}

const schemeRules: Readonly<Record<TagScheme, SchemeRules>> = {
  IOB1: { opening: "OI", closing: "OBI", within: { B: "B", I: "B" } },
  IOB2: { opening: "OB", closing: "OBI", within: { B: "I", I: "I" } },
  IOBES: { opening: "OBS", closing: "OES", within: { B: "IE", I: "IE" } },
  BILOU: { opening: "OBU", closing: "OLU", within: { B: "IL", I: "IL" } },
};

/** Words `start` … `end` − 1 of a sentence, and what they are. */
export interface TypedSpan {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** A tag in parts: a prefix of any scheme, with IOBES's names for a last and an only word; a type unless outside. */
interface Tag {
  readonly prefix: "O" | "B" | "I" | "E" | "S";
  readonly type: string;
}

const prefixes: Readonly<Record<string, Tag["prefix"]>> = { B: "B", I: "I", E: "E", S: "S", L: "E", U: "S" };

/** The type of a tag that has none, as in seqeval. */
const untyped = "_";

function parseTag(tag: string): Tag | undefined {
  if (tag === "O") return { prefix: "O", type: untyped };
  const prefix = Object.hasOwn(prefixes, tag[0] ?? "") ? prefixes[tag[0]!] : undefined;
  if (prefix === undefined || (tag.length > 1 && tag[1] !== "-")) return undefined;
  return { prefix, type: tag.slice(2) || untyped };
}

/**
 * The spans that tags of any {@link TagScheme} spell, in order. Every sequence of tags has a reading, the one of
 * conlleval and of seqeval's default mode: a span starts at a `B` or a lone-word tag, and where an inside or last
 * tag follows a word outside, the end of a span, or another type. The type is what follows the first hyphen; a tag
 * without one has the type `_`.
 *
 * @throws DATA_INVALID if a tag is neither `O` nor a known prefix with a type
 * @example
 * decodeTags(["B-PER", "I-PER", "O", "I-C-A1"]);
 * // [{ type: "PER", start: 0, end: 2 }, { type: "C-A1", start: 3, end: 4 }]
 */
export function decodeTags(tags: readonly string[]): TypedSpan[] {
  const spans: TypedSpan[] = [];
  let open: { readonly type: string; readonly start: number } | undefined;
  const close = (end: number): void => {
    if (open !== undefined) spans.push({ ...open, end });
    open = undefined;
  };
  for (const [i, text] of tags.entries()) {
    const tag = parseTag(text);
    if (tag === undefined) throw notATag(text);
    const { prefix, type } = tag;
    if (prefix === "O" || prefix === "B" || prefix === "S" || type !== open?.type) close(i);
    if (prefix === "O") continue;
    open ??= { type, start: i };
    if (prefix === "E" || prefix === "S") close(i + 1);
  }
  close(tags.length);
  return spans;
}

/**
 * The tags that spell `spans` in a sentence of `length` words; {@link decodeTags} gives the spans back.
 *
 * @param spans in any order
 * @throws DATA_INVALID if a span has no words or no type, lies outside the sentence, or overlaps another
 */
export function encodeSpans(spans: readonly TypedSpan[], length: number, scheme: TagScheme): string[] {
  const tags = new Array<string>(length).fill("O");
  const [only, first, last] = { IOB1: "III", IOB2: "BBI", IOBES: "SBE", BILOU: "UBL" }[scheme];
  let previous: TypedSpan | undefined;
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const { type, start, end } = span;
    const earliest = previous?.end ?? 0;
    if (!(start >= earliest && start < end && end <= length) || type === "") {
      throw new PtuningError(
        "DATA_INVALID",
        `spans: expected a type and words within ${earliest} … ${length}, got ${JSON.stringify(span)}.`,
        { hint: "Spans of one sentence may not overlap." },
      );
    }
    tags.fill(`I-${type}`, start, end);
    tags[end - 1] = `${last}-${type}`;
    tags[start] = `${end - start === 1 ? only : first}-${type}`;
    if (scheme === "IOB1") {
      tags[start] = `${previous?.end === start && previous.type === type ? "B" : "I"}-${type}`;
    }
    previous = span;
  }
  return tags;
}

/** Which of some tags may stand where in a sentence. All are numbers of tags, in growing order. */
export interface TagRules {
  /** Those that may stand first, and behind each of {@link closing}. */
  readonly opening: readonly number[];
  /** Those that may stand last. */
  readonly closing: readonly number[];
  /** What else may stand behind each tag: what goes on with its span. */
  readonly within: readonly (readonly number[])[];
}

/**
 * The rules of a scheme for the tags that there are. A tag that no sentence of them could hold, as nothing of them opens or
 * closes its span (`I-X` without `B-X`), opens or closes spans itself.
 *
 * @throws DATA_INVALID if a tag is neither `O` nor a known prefix with a type
 * @example
 * tagRules(["O", "B-X", "I-X"], "IOB2"); // { opening: [0, 1], closing: [0, 1, 2], within: [[], [2], [2]] }
 */
export function tagRules(tags: readonly string[], scheme: TagScheme): TagRules {
  const { opening, closing, within } = schemeRules[scheme];
  const known = tags.map((tag) => ({ letter: tag[0] ?? "", type: typeOf(tag) }));
  const numbersOf = (isMeant: (tag: number) => boolean): number[] => [...tags.keys()].filter(isMeant);
  const goingOn = known.map(({ letter, type }) =>
    numbersOf((next) => known[next]!.type === type && !!within[letter]?.includes(known[next]!.letter)),
  );
  const comingFrom = known.map((_, next) => numbersOf((tag) => goingOn[tag]!.includes(next)));
  /** The tags of some prefixes, and those that the steps from these do not come to. */
  const all = (prefixes: string, steps: readonly (readonly number[])[]): number[] => {
    const own = numbersOf((tag) => prefixes.includes(known[tag]!.letter));
    const reached = new Set(own);
    for (const tag of reached) for (const next of steps[tag]!) reached.add(next);
    return numbersOf((tag) => own.includes(tag) || !reached.has(tag));
  };
  return { opening: all(opening, goingOn), closing: all(closing, comingFrom), within: goingOn };
}

function mayFollow(before: Tag, tag: Tag, { opening, closing, within }: SchemeRules): boolean {
  if (closing.includes(before.prefix) && opening.includes(tag.prefix)) return true;
  return before.type === tag.type && within[before.prefix]?.includes(tag.prefix) === true;
}

function typeOf(tag: string): string {
  const parsed = parseTag(tag);
  if (parsed === undefined) throw notATag(tag);
  return parsed.type;
}

function notATag(text: string): PtuningError {
  return new PtuningError(
    "DATA_INVALID",
    `tags: expected O or a prefix of ${Object.keys(prefixes).join(", ")} and a type, as in B-PER, got ${JSON.stringify(text)}.`,
    { hint: "Check which column of the file holds the tags." },
  );
}

/**
 * The scheme that tag sequences are written in, or undefined where they do not spell spans: a tag without a known
 * prefix (parts of speech), or last-word tags of two schemes. Between IOB1 and IOB2 the one decides that fewer
 * tags contradict: an `I` that starts a span contradicts IOB2, a `B` elsewhere than right after a span of its type
 * IOB1. Where nothing decides, it is IOB2.
 */
export function detectTagScheme(sequences: Iterable<readonly string[]>): TagScheme | undefined {
  const used = new Set<string>();
  let [againstIob1, againstIob2] = [0, 0];
  for (const tags of sequences) {
    let previous: Tag = { prefix: "O", type: untyped };
    for (const text of tags) {
      const tag = parseTag(text);
      if (tag === undefined) return undefined;
      used.add(text[0]!);
      if (!mayFollow(previous, tag, schemeRules.IOB1)) againstIob1++;
      if (!mayFollow(previous, tag, schemeRules.IOB2)) againstIob2++;
      previous = tag;
    }
  }
  const [iobes, bilou] = ["ES", "LU"].map((last) => [...last].some((prefix) => used.has(prefix)));
  if (iobes && bilou) return undefined;
  if (iobes) return "IOBES";
  if (bilou) return "BILOU";
  return againstIob1 < againstIob2 ? "IOB1" : "IOB2";
}
