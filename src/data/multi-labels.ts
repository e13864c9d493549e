import { type PtuningError, shown } from "../core/index.ts";
import type { Fields } from "./fields.ts";
import { dataError, type FormatInput } from "./format.ts";
import { ListColumn, type ListForm } from "./list-cells.ts";
import type { Column } from "./options.ts";

/** What may stand between labels where nothing else is said. */
const separators = [",", ";", "|"] as const;

/** Distinct cells and parts that are kept to see whether parts recur. */
const maxKept = 10_000;

/** Rows with real lists of other things than 0 and 1 after which nothing is left to find out. */
const enoughRows = 100;

/** Reads the labels of a row, in the way that was found for the whole column. */
export async function labelsReader(
  input: FormatInput,
  column: Column | readonly Column[],
  survey: () => AsyncIterable<Fields>,
): Promise<(fields: Fields) => readonly string[]> {
  const { options, path } = input;
  if (Array.isArray(column)) return (fields) => marked(fields, column as readonly Column[]);
  const one = column as Column;
  const seen = new LabelsColumn(path, one);
  let rows = 0;
  for await (const fields of survey()) {
    seen.add(fields.line, fields.raw(one));
    if (++rows >= enoughRows && seen.isSettled) break;
  }
  const form = options.listCells ?? seen.form(options.damaged === "skip");
  const separator = options.labelSeparator ?? (form === "joined" ? seen.separator() : ",");
  const { labelNames } = options;
  if (labelNames === undefined) seen.refuseMarks();
  else return (fields) => named(fields, one, labelNames, fields.list(one, /[\s,;|]+/, form));
  if (form === "joined" && separator !== ",") input.settle({ labelSeparator: separator });
  return (fields) => [...new Set(fields.list(one, separator, form))];
}

/** Columns named like labels, with 1 where a text has the label. */
function marked(fields: Fields, columns: readonly Column[]): string[] {
  return columns
    .filter((column) => {
      const mark = markOf(fields.value(column));
      return mark ?? fields.fail(column, "0 or 1", fields.raw(column));
    })
    .map(String);
}

/** Marks of labels by their names. */
function named(fields: Fields, column: Column, names: readonly string[], marks: readonly string[]): string[] {
  if (marks.length !== names.length) {
    fields.fail(column, `0 or 1 for each of ${names.length} labels`, fields.raw(column));
  }
  return names.filter(
    (_, i) => markOf(marks[i]) ?? fields.fail(column, "0 or 1 for each label", fields.raw(column)),
  );
}

/** Whether a value marks a label as given; `undefined` where it is no mark. */
export function markOf(value: unknown): boolean | undefined {
  const text = String(value).trim().toLowerCase();
  if (/^(?:1(?:\.0+)?|true)$/.test(text)) return true;
  return /^(?:0(?:\.0+)?|false)$/.test(text) ? false : undefined;
}

/** What all cells of a column with labels have in common. */
class LabelsColumn {
  readonly #path: string;
  readonly #column: Column;
  readonly #lists: ListColumn;
  /** The first cell, while all may be marks. */
  #marks: { readonly line: number; readonly text: string; readonly length: number } | undefined;
  #isMarks = true;
  #cells = 0;
  readonly #separators = new Map<string, { readonly line: number; readonly text: string }>();
  readonly #plain = new Map<string, number>();

  constructor(path: string, column: Column) {
    this.#path = path;
    this.#column = column;
    this.#lists = new ListColumn(path, column, false);
  }

  add(line: number, value: unknown): void {
    const items = this.#lists.add(line, value);
    const text = typeof value === "string" ? value.trim() : "";
    if (items === undefined && text === "") return;
    this.#cells++;
    this.#addMarks(line, items ?? text.split(/[\s,;|]+/), items === undefined ? text : JSON.stringify(items));
    if (items !== undefined) return;
    if (this.#plain.size < maxKept || this.#plain.has(text)) {
      this.#plain.set(text, (this.#plain.get(text) ?? 0) + 1);
    }
    for (const separator of separators) {
      if (text.includes(separator) && !this.#separators.has(separator)) {
        this.#separators.set(separator, { line, text });
      }
    }
  }

  #addMarks(line: number, items: readonly unknown[], text: string): void {
    if (!this.#isMarks) return;
    this.#marks ??= { line, text, length: items.length };
    this.#isMarks =
      items.length > 1 &&
      items.length === this.#marks.length &&
      items.every((item) => item !== null && markOf(item) !== undefined);
  }

  get isTyped(): boolean {
    return this.#lists.isTyped;
  }

  /** Nothing that further rows may hold changes what was found. */
  get isSettled(): boolean {
    return this.isTyped && !this.#isMarks;
  }

  form(isTolerant: boolean): ListForm {
    return this.#lists.decide(isTolerant);
  }

  /** @throws DATA_INVALID if two separators occur */
  separator(): string {
    const found = [...this.#separators.keys()];
    if (found.length === 0) return ",";
    const [first, second] = found;
    if (second !== undefined) {
      const place = this.#separators.get(second)!;
      throw dataError(
        this.#path,
        place.line,
        `"${this.#column}": expected labels with one separator, got ${shown(place.text)}, where ${first} separates ` +
          `labels in line ${this.#separators.get(first!)!.line}`,
        { hint: `Say which it is: data.labelSeparator: "${first}" or "${second}".` },
      );
    }
    return first === "," || this.#recurs(first!) ? first! : ",";
  }

  /** Whether parts between a separator are labels: they occur alone or in other cells, too. */
  #recurs(separator: string): boolean {
    const joined = [...this.#plain.keys()].filter((cell) => cell.includes(separator));
    const parts = joined.flatMap((cell) => cell.split(separator).map((part) => part.trim()));
    const distinct = new Set(parts);
    return distinct.size < parts.length || parts.some((part) => this.#plain.has(part));
  }

  /** @throws DATA_INVALID if all cells are marks of labels that nobody named */
  refuseMarks(): void {
    if (!this.#isMarks || this.#marks === undefined) return;
    throw this.#unnamed(this.#marks);
  }

  #unnamed({ line, text, length }: { line: number; text: string; length: number }): PtuningError {
    return dataError(
      this.#path,
      line,
      `"${this.#column}": expected names of labels, got ${shown(text)}, a mark for each of ${length} labels, ` +
        `as in all ${this.#cells} rows`,
      {
        hint: `Name the labels in the order of the marks: --set 'data.labelNames=[${Array.from({ length: Math.min(length, 3) }, (_, i) => `name${i + 1}`).join(", ")}${length > 3 ? ", …" : ""}]'.`,
      },
    );
  }
}
