import { escapeControls } from "../core/index.ts";

/** A cell; numbers are set to the right. */
export type Cell = string | number;

/** A column of a table. */
export interface TableColumn {
  readonly title: string;
  /** Digits behind the point of numbers; without it numbers are printed as they are. */
  readonly digits?: number;
  /** Whether texts are set to the right too: numbers with units. */
  readonly right?: boolean;
}

/** Which columns are set to the right. */
function rightColumns(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[]): boolean[] {
  return columns.map(
    ({ right }, i) =>
      right ?? (rows.length > 0 && rows.every((row) => typeof row[i] === "number" || row[i] === "")),
  );
}

/** A cell as a table shows it: on one line, without characters that a terminal would act on. */
function cellText(cell: Cell, { digits }: TableColumn): string {
  if (typeof cell === "number" && digits !== undefined) return cell.toFixed(digits);
  return escapeControls(String(cell));
}

/** Columns wide enough for their cells, two blanks between: for terminals and logs. */
export function textTable(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[]): string {
  return textTablePages(columns)(rows).join("\n");
}

/**
 * The same page by page, where rows come as a stream: the first page has the titles, and a later one has columns at least
 * as wide as those before it.
 * @returns the lines of each page
 */
export function textTablePages(
  columns: readonly TableColumn[],
): (rows: readonly (readonly Cell[])[]) => string[] {
  const titles = columns.map(({ title }) => escapeControls(title));
  const widths = titles.map(width);
  let isRight: readonly boolean[] | undefined;
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const blanks = " ".repeat(Math.max(0, widths[i]! - width(cell)));
        return isRight![i] ? blanks + cell : cell + blanks;
      })
      .join("  ")
      .trimEnd();
  return (rows) => {
    const isFirst = isRight === undefined;
    isRight ??= rightColumns(columns, rows);
    const texts = rows.map((row) => columns.map((column, i) => cellText(row[i] ?? "", column)));
    for (const row of texts) {
      for (const [i, text] of row.entries()) widths[i] = Math.max(widths[i]!, width(text));
    }
    return [...(isFirst ? [line(titles)] : []), ...texts.map(line)];
  };
}

/** The same as a Markdown table. */
export function markdownTable(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[]): string {
  const isNumeric = rightColumns(columns, rows);
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(columns.map(({ title }) => escapeControls(title))),
    `|${isNumeric.map((numeric) => (numeric ? "---:" : "---")).join("|")}|`,
    ...rows.map((row) => line(columns.map((column, i) => cellText(row[i] ?? "", column)))),
  ].join("\n");
}

const segmenter = new Intl.Segmenter();

/** Terminal cells of a text: East Asian wide characters and emoji take two. */
function width(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let cells = 0;
  for (const { segment } of segmenter.segment(text)) {
    cells +=
      /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(
        segment,
      )
        ? 2
        : 1;
  }
  return cells;
}
