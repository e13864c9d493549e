import { closest, shown, shownNames } from "../core/index.ts";
import { dataError, type Row } from "./format.ts";
import { type ListForm, readListCell } from "./list-cells.ts";
import type { Column } from "./options.ts";

/** The columns of one record, with messages that say what was expected. */
export class Fields {
  readonly path: string;
  readonly line: number;
  readonly #fields: Row["fields"];

  constructor(path: string, { line, fields }: Row) {
    this.path = path;
    this.line = line;
    this.#fields = fields;
  }

  fail(column: Column, expected: string, value: unknown, why?: string): never {
    throw dataError(
      this.path,
      this.line,
      `"${column}": expected ${expected}, got ${shown(value)}${why ? `, ${why}` : ""}`,
    );
  }

  /** The first of several columns that is there. */
  first(...columns: (Column | undefined)[]): Column | undefined {
    return columns.find((column) => column !== undefined && (this.raw(column) ?? null) !== null);
  }

  /** The value as the file has it, if it has one. */
  raw(column: Column): unknown {
    return Object.hasOwn(this.#fields, column) ? this.#fields[column] : undefined;
  }

  value(column: Column): unknown {
    const value = this.raw(column);
    if (value !== undefined && value !== null) return value;
    if (value === null) return this.fail(column, "a value", value);
    const names = Object.keys(this.#fields);
    const near = closest(String(column), names);
    throw dataError(this.path, this.line, `expected a column "${column}", got ${shownNames(names)}`, {
      hint:
        near === undefined ? "Choose the columns with data.text and data.label." : `Did you mean "${near}"?`,
    });
  }

  text(column: Column): string {
    const value = this.value(column);
    if (typeof value !== "object") return String(value);
    throw dataError(
      this.path,
      this.line,
      `"${column}": expected a text, a number or a truth value, got a nested one`,
    );
  }

  number(column: Column): number {
    const value = this.value(column);
    const number = typeof value === "string" && value.trim() !== "" ? Number(value) : Number.NaN;
    if (Number.isFinite(value) || typeof value === "bigint") return Number(value);
    return Number.isFinite(number) ? number : this.fail(column, "a number", value);
  }

  /** A list, or a text: of a list or of items with a separator, as all cells of the column. */
  list(column: Column, separator: string | RegExp, form: ListForm): string[] {
    let value = this.value(column);
    if (typeof value === "string" && (form === "joined" || value.trim() === "")) {
      return value
        .split(separator)
        .map((part) => part.trim())
        .filter((part) => part !== "");
    }
    if (typeof value === "string") {
      const cell = readListCell(value);
      if (cell.kind === "broken") {
        this.fail(column, "a list as JSON or Python writes it", value, `which ${cell.why}`);
      }
      if (cell.kind === "list") value = cell.items;
    }
    if (!Array.isArray(value) || value.some((part) => typeof part === "object" || part === undefined)) {
      return this.fail(column, "a list of texts", value);
    }
    return value.map(String);
  }
}
