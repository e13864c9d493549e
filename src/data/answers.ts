import { shown } from "../core/index.ts";
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

/**
 * Gives the answers of an example their place in the context, as JavaScript string indices. An answer that does
 * not stand where the file says (blanks around it do not count) is located: where it occurs once, or nearest to
 * the place where it should be. Without any place, or equally near to two, the example is rejected.
 */
export function placeAnswers(
  input: FormatInput,
  example: Omit<AnswerExample, "answers"> & { readonly answers?: readonly RawAnswer[] },
): AnswerExample | undefined {
  const { answers, ...rest } = example;
  if (answers === undefined) return rest;
  const { context, line = 0 } = rest;
  const placed: { text: string; start: number }[] = [];
  for (const { text, start: codePoint } of answers) {
    const start = codePoint === undefined ? undefined : stringIndex(context, codePoint);
    if (start !== undefined && text !== "" && context.startsWith(text, start)) {
      placed.push({ text, start });
      continue;
    }
    const found = locate(context, text.trim(), start);
    if (typeof found === "string") {
      const shown = JSON.stringify(text.slice(0, 40));
      input.reject(dataError(input.path, line, `the answer ${shown} of "${rest.id}" ${found}`));
      return undefined;
    }
    input.notice(
      codePoint === undefined
        ? "answers without an offset were located in their context"
        : "answers did not stand at their offset and were located nearby",
    );
    placed.push(found);
  }
  return { ...rest, answers: placed };
}

/** JavaScript string index of a code point's number; they differ behind astral characters. */
function stringIndex(text: string, codePoint: number): number {
  let index = 0;
  for (let seen = 0; seen < codePoint && index < text.length; seen++) {
    const code = text.charCodeAt(index);
    const isPair = code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(index + 1) & 0xfc00) === 0xdc00;
    index += isPair ? 2 : 1;
  }
  return index;
}

function locate(
  context: string,
  text: string,
  near: number | undefined,
): { text: string; start: number } | string {
  if (text === "") return "is empty";
  const places: number[] = [];
  for (let at = context.indexOf(text); at >= 0; at = context.indexOf(text, at + 1)) places.push(at);
  if (places.length === 0) return "does not occur in its context";
  if (places.length === 1) return { text, start: places[0]! };
  if (near === undefined) return `occurs ${places.length} times in its context and has no offset`;
  const distance = (at: number): number => Math.abs(at - near);
  const [first, second] = places.toSorted((a, b) => distance(a) - distance(b));
  if (distance(first!) === distance(second!)) return "occurs twice, equally near to its offset";
  return { text, start: first! };
}
