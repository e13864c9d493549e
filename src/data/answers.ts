import { shown } from "../core/index.ts";
import { type Counting, countingName, countings, OffsetReader } from "./counting.ts";
import type { AnswerExample } from "./example.ts";
import { dataError, type FormatInput } from "./format.ts";
import { isRecord, parseJson } from "./lines.ts";
import { LiteralError, parsePythonLiteral } from "./python-literal.ts";

/** An answer as a file has it. */
export interface RawAnswer {
  readonly text: string;
  /** In code points, as Python counts; absent where the file has none. */
  readonly start?: number;
}

/**
 * The answers of one question in the forms in which files have them: `{text: […], answer_start: […]}` (the
 * Hugging Face form), a list of `{text, answer_start}` (SQuAD), either as JSON text, or texts alone.
 * @throws DATA_INVALID
 */
export function answersFrom(path: string, line: number, value: unknown): RawAnswer[] {
  const fail = (why?: string): never => {
    const got = `got ${shown(value)}${why ? `, which ${why}` : ""}`;
    throw dataError(path, line, `expected answers as {text, answer_start} or a list of such, ${got}`);
  };
  if (typeof value === "string") {
    if (!/^\s*[[{]/.test(value)) return value === "" ? [] : [{ text: value }];
    return answersFrom(path, line, parseAnswers(value, fail));
  }
  if (Array.isArray(value)) return value.map((answer) => rawAnswer(answer) ?? fail());
  if (!isRecord(value)) return fail();
  const { text, answer_start: starts } = value;
  if (!Array.isArray(text)) return [rawAnswer(value) ?? fail()];
  if (starts !== undefined && (!Array.isArray(starts) || starts.length !== text.length)) return fail();
  return text.map((one, i) => rawAnswer({ text: one, answer_start: starts?.[i] }) ?? fail());
}

/** Answers as JSON or Python writes them. */
function parseAnswers(text: string, fail: (why: string) => never): unknown {
  try {
    return parseJson(text);
  } catch {
    try {
      return parsePythonLiteral(text);
    } catch (error) {
      if (error instanceof LiteralError) return fail(error.message);
      throw error;
    }
  }
}

function rawAnswer(value: unknown): RawAnswer | undefined {
  if (typeof value === "string") return { text: value };
  if (!isRecord(value) || typeof value.text !== "string") return undefined;
  const start = value.answer_start;
  if (start === undefined || start === null) return { text: value.text };
  const number = typeof start === "bigint" ? Number(start) : start;
  return typeof number === "number" && Number.isInteger(number)
    ? { text: value.text, start: number }
    : undefined;
}

/** An example whose answers have no place in the context yet. */
export type UnplacedAnswers = Omit<AnswerExample, "answers"> & { readonly answers?: readonly RawAnswer[] };

/**
 * Gives the answers of all examples of a file their place in the context, as JavaScript string indices. What offsets
 * count is what holds most of the answers in the whole file. An answer that does not stand at its offset (blanks around
 * it do not count) is located: where it occurs once, or nearest to the place where it should be. Without any place, or
 * equally near to two, the example is rejected.
 *
 * @param examples reads the file; reports what it cannot read to `input.reject`
 */
export async function* placedAnswers(
  input: FormatInput,
  examples: (input: FormatInput) => AsyncIterable<UnplacedAnswers>,
): AsyncGenerator<AnswerExample> {
  const isOpen = input.options.gold === false;
  const counting = isOpen ? usualWay : await countingOf(input, examples);
  for await (const { answers, ...rest } of examples(input)) {
    if (isOpen || answers === undefined) {
      yield rest;
      continue;
    }
    const placed = placeAll(input, { ...rest, answers }, counting);
    if (placed !== undefined) yield { ...rest, answers: placed };
  }
}

const ways = countings("codepoints");
const usualWay = ways[0]!;

async function countingOf(
  input: FormatInput,
  examples: (input: FormatInput) => AsyncIterable<UnplacedAnswers>,
): Promise<Counting> {
  const { offsets = "auto" } = input.options;
  const own = offsets === "auto" ? ways : countings(offsets, offsets);
  const hits = own.map(() => 0);
  try {
    for await (const { context, answers = [] } of examples(input.ahead())) {
      const reader = new OffsetReader(context);
      if (!reader.isAmbiguous) continue;
      for (const { text, start } of answers) {
        if (start === undefined || text === "") continue;
        const places = own.map((way) => reader.index(start, way));
        if (places.every((place) => place === places[0])) continue;
        for (const [i, place] of places.entries()) if (heldAt(context, text, place)) hits[i]!++;
      }
    }
  } catch {
    // Said when the file is read.
  }
  const counting = own[hits.indexOf(Math.max(...hits))]!;
  if (counting !== own[0]) {
    input.note(`offsets were read as ${countingName(counting)}, so that most answers stand at theirs`);
  }
  return counting;
}

/** The end of a text that stands at a place of the context; a `\r` that the text lacks does not count. */
function heldAt(context: string, text: string, start: number | undefined): number | undefined {
  if (start === undefined || text === "") return undefined;
  if (context.startsWith(text, start)) return start + text.length;
  if (!text.includes("\n") || text.includes("\r")) return undefined;
  let at = start;
  for (const unit of text.split("")) {
    if (unit === "\n" && context[at] === "\r") at++;
    if (context[at++] !== unit) return undefined;
  }
  return at;
}

function placeAll(
  input: FormatInput,
  { id, context, line = 0, answers }: UnplacedAnswers & { readonly answers: readonly RawAnswer[] },
  counting: Counting,
): { text: string; start: number }[] | undefined {
  const reader = new OffsetReader(context);
  const placed: { text: string; start: number }[] = [];
  for (const { text, start: offset } of answers) {
    const start = offset === undefined ? undefined : (reader.index(offset, counting) ?? context.length);
    const end = heldAt(context, text, start);
    if (start !== undefined && end !== undefined) {
      placed.push({ text: context.slice(start, end), start });
      continue;
    }
    const found = locate(context, text.trim(), start);
    if (typeof found === "string") {
      const shown = JSON.stringify(text.slice(0, 40));
      input.reject(dataError(input.path, line, `the answer ${shown} of "${id}" ${found}`));
      return undefined;
    }
    input.notice(
      offset === undefined
        ? "answers without an offset were located in their context"
        : "answers did not stand at their offset and were located nearby",
    );
    placed.push(found);
  }
  return placed;
}

function locate(
  context: string,
  text: string,
  near: number | undefined,
): { text: string; start: number } | string {
  if (text === "") return "is empty";
  const places: number[] = [];
  const [head] = text.split("\n", 1);
  const ends = new Map<number, number>();
  for (let at = context.indexOf(head!); at >= 0; at = context.indexOf(head!, at + 1)) {
    const end = heldAt(context, text, at);
    if (end === undefined) continue;
    places.push(at);
    ends.set(at, end);
  }
  const placed = (at: number): { text: string; start: number } => ({
    text: context.slice(at, ends.get(at)),
    start: at,
  });
  if (places.length === 0) return "does not occur in its context";
  if (places.length === 1) return placed(places[0]!);
  if (near === undefined) return `occurs ${places.length} times in its context and has no offset`;
  const distance = (at: number): number => Math.abs(at - near);
  const [first, second] = places.toSorted((a, b) => distance(a) - distance(b));
  if (distance(first!) === distance(second!)) return "occurs twice, equally near to its offset";
  return placed(first!);
}
