import type { Column, ColumnOptions } from "../data/index.ts";

/** `2` is a number, `Class Index` a name. */
export function parseColumn(text: string): Column {
  return /^[1-9]\d*$/.test(text) ? Number(text) : text;
}

/** One column, or two joined by a comma. */
export function parseColumns(text: string): NonNullable<ColumnOptions["text"]> {
  const columns = text.split(",").map((part) => parseColumn(part.trim()));
  return columns.length === 2 ? (columns as [Column, Column]) : parseColumn(text.trim());
}
