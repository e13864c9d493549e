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

function cellText(cell: Cell, { digits }: TableColumn): string {
  return typeof cell === "number" && digits !== undefined ? cell.toFixed(digits) : String(cell);
}

/** Columns wide enough for their cells, two blanks between: for terminals and logs. */
export function textTable(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => columns.map((column, i) => cellText(row[i] ?? "", column)));
  const isNumeric = rightColumns(columns, rows);
  const widths = columns.map(({ title }, i) => Math.max(width(title), ...texts.map((row) => width(row[i]!))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const blanks = " ".repeat(widths[i]! - width(cell));
        return isNumeric[i] ? blanks + cell : cell + blanks;
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...texts.map(line)].join("\n");
}

/** The same as a Markdown table. */
export function markdownTable(columns: readonly TableColumn[], rows: readonly (readonly Cell[])[]): string {
  const isNumeric = rightColumns(columns, rows);
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(columns.map(({ title }) => title)),
    `|${isNumeric.map((numeric) => (numeric ? "---:" : "---")).join("|")}|`,
    ...rows.map((row) => line(columns.map((column, i) => cellText(row[i] ?? "", column)))),
  ].join("\n");
}

/** Terminal cells of a text: East Asian wide characters and emoji take two. */
function width(text: string): number {
  let cells = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    cells +=
      /\p{Extended_Pictographic}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u.test(
        segment,
      )
        ? 2
        : 1;
  }
  return cells;
}
