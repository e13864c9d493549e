import type { TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { isJsonLines } from "../json-outline.ts";
import { isRecord, jsonRows } from "../lines.ts";
import { type OffsetUnit, type Span, taggedWords } from "../spans.ts";

/** What one record of an export says. */
interface Annotated {
  readonly text: string;
  /** Absent: not annotated. */
  readonly spans?: readonly unknown[];
}

/** JSON lines with a text and spans, read by `recordOf`; `undefined` leaves a record out. */
function spanLines(
  title: string,
  unit: OffsetUnit,
  fits: (start: string) => boolean,
  recordOf: (fields: Readonly<Record<string, unknown>>, input: FormatInput) => Annotated | undefined,
): Format {
  async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
    for await (const { line, fields } of jsonRows(input)) {
      try {
        const record = recordOf(fields, input);
        if (record === undefined) continue;
        if (typeof record.text !== "string") throw dataError(input.path, line, 'expected a text "text"');
        const spans = record.spans?.map((span) => spanOf(span, line, input.path));
        const example = taggedWords(input, line, record.text, spans, unit);
        if (example !== undefined) yield example;
      } catch (error) {
        input.reject(error);
      }
    }
  }
  return {
    title,
    readers: { tokens: read },
    fits: (look) => isJsonLines(look) && fits(look.start.trimStart().split("\n", 1)[0]!),
  };
}

/** `{start, end, label}`, the keys of several tools, or `[start, end, label]`. */
function spanOf(value: unknown, line: number, path: string): Span {
  const [start, end, label] = Array.isArray(value)
    ? value
    : isRecord(value)
      ? [value.start ?? value.start_offset, value.end ?? value.end_offset, value.label]
      : [];
  if (Number.isInteger(start) && Number.isInteger(end) && typeof label === "string" && label !== "") {
    return { start, end, label };
  }
  throw dataError(path, line, "expected spans as {start, end, label} or [start, end, label]");
}

function listOf(value: unknown): readonly unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

const key = (name: string): RegExp => new RegExp(`"${name}"\\s*:\\s*\\[\\s*(\\]|\\[\\s*-?\\d|\\{)`);

/** doccano's JSONL: `label` (older: `labels`) as `[start, end, label]`, or `entities` as objects; in code points. */
export const doccano: Format = spanLines(
  "doccano JSONL",
  "code points",
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
  "code points",
  (record) => key("spans").test(record) && /"(_input_hash|_task_hash|answer|token_start)"\s*:/.test(record),
  (fields, input) => {
    if (fields.answer !== undefined && fields.answer !== "accept") {
      return input.notice("records that were rejected or ignored in Prodigy were left out");
    }
    return { text: fields.text as string, spans: listOf(fields.spans) ?? [] };
  },
);

/** Our own JSONL: `{"text", "spans": [{"start", "end", "label"}]}`, offsets as JavaScript string indices. */
export const spans: Format = spanLines(
  "JSON lines with spans",
  "utf-16",
  (record) => /"text"\s*:/.test(record) && key("spans").test(record),
  (fields) => {
    const own = listOf(fields.spans);
    return { text: fields.text as string, ...(own && { spans: own }) };
  },
);
