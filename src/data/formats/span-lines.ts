import { dataError, type Format, type FormatInput } from "../format.ts";
import { isJsonLines } from "../json-outline.ts";
import { isRecord, jsonRows } from "../lines.ts";
import type { OffsetRule, Stretch } from "../offset-survey.ts";
import { type Span, type SpanRecord, taggedWords } from "../spans.ts";

/** What one record of an export says. */
interface Annotated {
  readonly text: string;
  /** Absent: not annotated. */
  readonly spans?: readonly unknown[];
  readonly tokens?: readonly unknown[];
}

/** JSON lines with a text and spans, read by `recordOf`; `undefined` leaves a record out. */
function spanLines(
  title: string,
  rule: OffsetRule,
  fits: (start: string) => boolean,
  recordOf: (fields: Readonly<Record<string, unknown>>, input: FormatInput) => Annotated | undefined,
): Format {
  async function* records(input: FormatInput): AsyncGenerator<SpanRecord> {
    for await (const { line, fields } of jsonRows(input)) {
      try {
        const record = recordOf(fields, input);
        if (record === undefined) continue;
        const { text, tokens = [] } = record;
        if (typeof text !== "string") throw dataError(input.path, line, 'expected a text "text"');
        const given = input.options.gold === false ? undefined : record.spans;
        const spans = given?.map((span) => spanOf(span, line, input.path, tokens));
        yield { line, text, ...(spans && { spans }), evidence: tokens.flatMap(tokenOf) };
      } catch (error) {
        input.reject(error);
      }
    }
  }
  return {
    title,
    readers: { tokens: (input) => taggedWords(input, records, rule) },
    fits: (look) => isJsonLines(look) && fits(look.start.trimStart().split("\n", 1)[0]!),
  };
}

/** `{start, end, label}`, the keys of several tools, or `[start, end, label]`; what else they say must agree. */
function spanOf(value: unknown, line: number, path: string, tokens: readonly unknown[]): Span {
  const fields: Readonly<Record<string, unknown>> = Array.isArray(value)
    ? { start: value[0], end: value[1], label: value[2] }
    : isRecord(value)
      ? value
      : {};
  const checkToken = (key: "start" | "end", candidates: readonly unknown[], at: number): void => {
    const told = candidates.flatMap((token) => (isRecord(token) && isWhole(token[key]) ? [token[key]] : []));
    if (told.length === 0 || told.includes(at)) return;
    throw dataError(path, line, `expected a span that agrees with its tokens, ${key} ${told[0]}, got ${at}`);
  };
  const start = fields.start ?? fields.start_offset;
  const { length, label } = fields;
  const end =
    fields.end ?? fields.end_offset ?? (isWhole(start) && isWhole(length) ? start + length : undefined);
  if (!isWhole(start) || !isWhole(end) || typeof label !== "string" || label === "") {
    throw dataError(path, line, "expected spans as {start, end, label} or [start, end, label]");
  }
  if (isWhole(length) && length !== end - start) {
    throw dataError(
      path,
      line,
      `expected a span of ${length} characters, as its length says, got ${start} to ${end}`,
    );
  }
  const [first, last] = [Number(fields.token_start), Number(fields.token_end)];
  checkToken("start", [tokens[first]], start);
  // Some count the last token in, others not.
  checkToken("end", [tokens[last], tokens[last - 1]], end);
  return { start, end, label, ...(typeof fields.text === "string" && { text: fields.text }) };
}

const isWhole = (value: unknown): value is number => Number.isInteger(value);

/** A token whose text tells what offsets count. */
function tokenOf(value: unknown): Stretch[] {
  if (!isRecord(value)) return [];
  const { start, end, text } = value;
  return isWhole(start) && isWhole(end) && typeof text === "string" ? [{ start, end, text }] : [];
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

const key = (name: string): RegExp => new RegExp(`"${name}"\\s*:\\s*\\[\\s*(\\]|\\[\\s*-?\\d|\\{)`);

/**
 * doccano's JSONL: `label` (older: `labels`) as `[start, end, label]`, or `entities` as objects. Its versions counted
 * code points, graphemes and UTF-16 units.
 */
export const doccano: Format = spanLines(
  "doccano JSONL",
  ["utf-16", "codepoints"],
  (record) =>
    /"text"\s*:/.test(record) &&
    !/"(spans|tokens)"\s*:/.test(record) &&
    [key("label"), key("labels"), key("entities")].some((pattern) => pattern.test(record)),
  (fields) => {
    const spans = listOf(fields.label) ?? listOf(fields.labels) ?? listOf(fields.entities);
    return { text: fields.text as string, ...(spans && { spans }) };
  },
);

/** Prodigy's JSONL: `spans` in code points; what the annotator rejected or ignored is left out. */
export const prodigy: Format = spanLines(
  "Prodigy JSONL",
  ["codepoints"],
  (record) => key("spans").test(record) && /"(_input_hash|_task_hash|answer|token_start)"\s*:/.test(record),
  (fields, input) => {
    if (input.options.gold !== false && fields.answer !== undefined && fields.answer !== "accept") {
      return input.notice("records that were rejected or ignored in Prodigy were left out");
    }
    const tokens = listOf(fields.tokens);
    return { text: fields.text as string, spans: listOf(fields.spans) ?? [], ...(tokens && { tokens }) };
  },
);

/** Our own JSONL: `{"text", "spans": [{"start", "end", "label"}]}`, offsets as JavaScript string indices. */
export const spans: Format = spanLines(
  "JSON lines with spans",
  ["utf-16"],
  (record) => /"text"\s*:/.test(record) && key("spans").test(record),
  (fields) => {
    const [own, tokens] = [listOf(fields.spans), listOf(fields.tokens)];
    return { text: fields.text as string, ...(own && { spans: own }), ...(tokens && { tokens }) };
  },
);
