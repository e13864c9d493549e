/**
 * Cells of CSV and TSV that a spreadsheet would run as formulas, and how they are written so that it does not: with an
 * apostrophe in front, which is taken off again when the file is read. A cell that has such an apostrophe of its own
 * gets another one, so that every text comes back as it was.
 */
const formula = /^'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
const escaped = /^'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;
/** What spreadsheets and programs take for a number; it runs nothing. */
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A cell that no spreadsheet runs. Numbers stay as they are.
 * @example
 * escapeCell("=1+1"); // "'=1+1"
 * escapeCell("-1.5"); // "-1.5"
 */
export function escapeCell(text: string): string {
  return formula.test(text) && !number.test(text) ? `'${text}` : text;
}

/** The cell that {@link escapeCell} was given. */
export function restoreCell(text: string): string {
  return escaped.test(text) ? text.slice(1) : text;
}

/** First column of the tables that `predict` writes. Cells of a file that starts with it are read with {@link restoreCell}. */
export const rowColumn = "row";
