import type { TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { type JsonElement, jsonElements } from "../json-elements.ts";
import { isRecord } from "../lines.ts";
import { type Span, taggedWords } from "../spans.ts";

/** Reads the tasks of an export; `spansOf` finds the regions, `undefined` where a task is not annotated. */
function tasks(
  title: string,
  fits: (start: string) => boolean,
  regionsOf: (
    task: Record<string, unknown>,
    input: FormatInput,
  ) => { readonly text: unknown; readonly regions?: readonly unknown[] },
): Format {
  async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
    for await (const element of jsonElements(input, ["*"])) {
      try {
        const example = exampleOf(element, input);
        if (example !== undefined) yield example;
      } catch (error) {
        input.reject(error);
      }
    }
  }
  function exampleOf({ value, line }: JsonElement, input: FormatInput): TokenExample | undefined {
    if (!isRecord(value)) throw dataError(input.path, line, "expected a task as an object");
    const { text, regions } = regionsOf(value, input);
    if (typeof text !== "string") throw dataError(input.path, line, "expected a task with a text");
    const spans = regions?.flatMap((region) => regionSpans(region, text, line, input.path));
    return taggedWords(input, line, text, spans, "utf-16");
  }
  return {
    title,
    readers: { tokens: read },
    fits: ({ start }) => /^\s*\[\s*\{/.test(start) && fits(start),
  };
}

/** A region `{start, end, labels, text}`; regions of other kinds (choices, relations) have no labels. */
function regionSpans(region: unknown, text: string, line: number, path: string): Span[] {
  if (!isRecord(region)) throw dataError(path, line, "expected regions as objects");
  const { start, end, labels } = region;
  if (!Array.isArray(labels)) return [];
  if (
    !Number.isInteger(start) ||
    !Number.isInteger(end) ||
    labels.length !== 1 ||
    typeof labels[0] !== "string"
  ) {
    throw dataError(path, line, "expected regions as {start, end, labels: [label]}");
  }
  const found = { start: start as number, end: end as number, label: labels[0] };
  // Offsets come from the browser, but imported predictions may count code points: the region's text tells.
  if (typeof region.text !== "string" || text.slice(found.start, found.end) === region.text) return [found];
  const characters = Array.from(text);
  const before = characters.slice(0, found.start).join("").length;
  const inside = characters.slice(found.start, found.end).join("");
  return inside === region.text ? [{ ...found, start: before, end: before + inside.length }] : [found];
}

/** Label Studio's JSON: the first annotation of each task that was not cancelled. */
export const labelStudio: Format = tasks(
  "Label Studio JSON",
  (start) => /"(annotations|completions)"\s*:\s*\[/.test(start) && /"data"\s*:\s*\{/.test(start),
  (task, input) => {
    const data = isRecord(task.data) ? task.data : {};
    const list: unknown = task.annotations ?? task.completions;
    const done = Array.isArray(list) ? list.filter((one) => isRecord(one) && one.was_cancelled !== true) : [];
    if (done.length > 1) input.notice("tasks with several annotations: the first was taken");
    const result: unknown = isRecord(done[0]) ? done[0].result : undefined;
    const regions = Array.isArray(result)
      ? result.map((one) => (isRecord(one) && isRecord(one.value) ? one.value : one))
      : undefined;
    return { text: data.text ?? textOf(data), ...(regions && { regions }) };
  },
);

/** Label Studio's JSON-MIN: the task's data and, under the name of the control, its regions. */
export const labelStudioMin: Format = tasks(
  "Label Studio JSON-MIN",
  (start) =>
    /"labels"\s*:\s*\[/.test(start) &&
    /"(start|end)"\s*:/.test(start) &&
    !/"(annotations|completions|tokens)"\s*:/.test(start),
  (task) => {
    const regions = Object.values(task).find(
      (value) => Array.isArray(value) && value.some((one) => isRecord(one) && Array.isArray(one.labels)),
    );
    return {
      text: task.text ?? textOf(task),
      ...(regions !== undefined && { regions: regions as unknown[] }),
    };
  },
);

/** The text of a task whose key is not `text`: the longest one. */
function textOf(data: Readonly<Record<string, unknown>>): unknown {
  return Object.values(data)
    .filter((value) => typeof value === "string")
    .toSorted((a, b) => b.length - a.length)[0];
}
