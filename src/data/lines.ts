import { PtuningError, shown } from "../core/index.ts";
import { dataError, type FormatInput, type Row } from "./format.ts";

/** Longer records are mistakes: a quote that is never closed, a file that is not a table. */
export const maxRecordCharacters = 1_000_000;

export function tooLong(path: string, line: number): PtuningError {
  return dataError(
    path,
    line,
    `expected records of at most ${maxRecordCharacters} characters, got a longer one`,
    {
      hint: "Check the delimiter and the quotes; shorten or remove the record.",
    },
  );
}

/** What stands for bytes that are no text is in a record. */
export function noText(path: string, line: number): PtuningError {
  return dataError(path, line, "expected text, got a NUL byte or bytes of another encoding");
}

/** A line of a text, without its end. */
export interface Line {
  readonly line: number;
  readonly text: string;
}

/**
 * Lines of a text with their numbers; line ends may be \n or \r\n, also mixed. A line that is too long is
 * rejected.
 */
export async function* linesOf(
  input: Pick<FormatInput, "path" | "text" | "reject">,
  file?: string,
): AsyncGenerator<Line> {
  let [rest, line, skipping] = ["", 0, false];
  const strip = (text: string): string => (text.endsWith("\r") ? text.slice(0, -1) : text);
  for await (const chunk of input.text(file)) {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop()!;
    for (const part of parts) {
      line++;
      if (skipping) skipping = false;
      else if (part.length > maxRecordCharacters) input.reject(tooLong(input.path, line));
      else yield { line, text: strip(part) };
    }
    if (rest.length > maxRecordCharacters) {
      if (!skipping) input.reject(tooLong(input.path, line + 1));
      [rest, skipping] = ["", true];
    }
  }
  if (rest !== "" && !skipping) yield { line: line + 1, text: strip(rest) };
}

/** Whether a text holds what stands for bytes that are no text. */
export function isDamaged(text: string): boolean {
  return text.includes("\0");
}

/** Lines of which each is a record of its own; those that are no text are rejected. */
export async function* recordLines(input: FormatInput): AsyncGenerator<Line> {
  for await (const line of linesOf(input)) {
    if (isDamaged(line.text)) input.reject(noText(input.path, line.line));
    else yield line;
  }
}

/** Parses JSON as Python does: integers beyond 2⁵³ keep their digits, as texts. */
export function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) =>
    /^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token,
  );
  return JSON.parse(exact);
}

/** Whether a JSON value is an object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of a JSON lines file; other lines are rejected, blank ones skipped. */
export async function* jsonRows(input: FormatInput): AsyncGenerator<Row> {
  for await (const { line, text } of recordLines(input)) {
    if (text.trim() === "") continue;
    input.begin(line);
    try {
      const fields = parseObject(input.path, line, text);
      input.begin(line, fields);
      yield { line, fields };
    } catch (error) {
      input.reject(error);
    }
  }
}

function parseObject(path: string, line: number, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw dataError(path, line, `expected a JSON object, got ${shown(text)}${whyNoJson(text, cause)}`, {
      cause,
    });
  }
  if (isRecord(value)) return value;
  throw dataError(path, line, `expected a JSON object, got ${shown(value)}`);
}

/** What stands in the way of reading a text as JSON, as the end of a message. */
export function whyNoJson(text: string, cause: unknown): string {
  const word = /(?:[:[,]\s*)(NaN|[+-]?Infinity|None|True|False|undefined)\b/.exec(text)?.[1];
  if (word !== undefined) return `, where ${word} is no JSON value`;
  const at = cause instanceof SyntaxError ? /at position (\d+)/.exec(cause.message)?.[1] : undefined;
  if (at === undefined) return ", which ends too early";
  return `, which is no JSON from character ${Number(at) + 1} on: ${shown(text.slice(Number(at)), 30)}`;
}

/** Whether an error says that data are wrong, and not the options or the program. */
export function isDataError(error: unknown): error is PtuningError {
  return error instanceof PtuningError && error.code === "DATA_INVALID";
}
