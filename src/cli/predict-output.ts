import { stringify } from "csv-stringify/sync";
import { escapeLines, jsonLine } from "../core/index.ts";
import { type DataRecord, escapeCell, rowColumn } from "../data/index.ts";
import { type Cell, type TableColumn, textTablePages } from "../report/index.ts";
import type { Task } from "../tasks/index.ts";
import { Pages } from "./pages.ts";
import { forTerminal } from "./terminal.ts";

/** A record with its answer. */
export interface Answered {
  readonly record: DataRecord<unknown>;
  /** Absent where the record has no example. */
  readonly prediction: unknown;
  readonly truncated: boolean;
}

/** How answers are written. */
export interface WriterOptions {
  readonly task: Task;
  /** Also what was not chosen. */
  readonly detailed: boolean;
  /** Cells that a spreadsheet would run stay as they are. */
  readonly raw: boolean;
}

/** Names of output formats. */
export type OutputFormat = "table" | "jsonl" | "csv" | "tsv";

/** Writers of answers as they come, by the name of the format. */
export const answerWriters: Readonly<Record<OutputFormat, (options: WriterOptions) => Pages<Answered>>> = {
  table: tablePages,
  jsonl: jsonPages,
  csv: (options) => separatedPages(options, ","),
  tsv: (options) => separatedPages(options, "\t"),
};

function jsonPages({ task }: WriterOptions): Pages<Answered> {
  return new Pages((answers) => answers.map((answer) => `${jsonLine(jsonOf(answer, task))}\n`).join(""));
}

/** A record with its answer as one object: where it belongs, what was given, the answer. */
function jsonOf(
  { record: { example, row, line, id, problem }, prediction, truncated }: Answered,
  task: Task,
): Readonly<Record<string, unknown>> {
  const answer = (prediction ?? task.blank) as Readonly<Record<string, unknown>>;
  const { line: _, ...given } = (example ?? {}) as Readonly<Record<string, unknown>>;
  // What was given has a name of its own where the answer has a key of that name: the text of a choice.
  const input = Object.entries(given).map(([key, value]) =>
    Object.hasOwn(answer, key) && answer[key] !== value ? [`input.${key}`, value] : [key, value],
  );
  return {
    row,
    ...(line !== undefined && { line }),
    ...(id !== undefined && { id }),
    ...Object.fromEntries(input),
    ...answer,
    ...(truncated && { truncated }),
    ...(problem !== undefined && { unanswered: problem }),
  };
}

type Cells = Readonly<Record<string, Cell>>;

/** The lines of answers in a table, each with what tells where it belongs. */
function rowsOf(answers: readonly Answered[], { task, detailed }: WriterOptions): Cells[] {
  return answers.flatMap(({ record: { example, row, line, id }, prediction }) => {
    const place = {
      [rowColumn]: row,
      ...(line !== undefined && { line }),
      ...(id !== undefined && { id }),
    };
    const rows = prediction === undefined ? [] : task.tabulate(example, prediction, detailed);
    // Also where nothing was found there is a line.
    return (rows.length === 0 ? [{}] : rows).map((cells) => ({ ...place, ...cells }));
  });
}

/** The columns of a table; its first rows show whether there are lines and ids. */
function columnsOf(rows: readonly Cells[], { task, detailed }: WriterOptions): TableColumn[] {
  const places = ["line", "id"].filter((title) => rows.some((row) => row[title] !== undefined));
  return [...[rowColumn, ...places].map((title) => ({ title })), ...task.columns(detailed)];
}

function separatedPages(options: WriterOptions, delimiter: string): Pages<Answered> {
  // Piped, a cell is what it is; a terminal is sent nothing that it would act on.
  const shown = process.stdout.isTTY ? escapeLines : (text: string): string => text;
  const safe = options.raw ? (text: string): string => text : escapeCell;
  let titles: string[] = [];
  return new Pages((answers, isFirst) => {
    const rows = rowsOf(answers, options);
    if (isFirst) titles = columnsOf(rows, options).map(({ title }) => title);
    const lines: readonly (readonly Cell[])[] = rows.map((row) => titles.map((title) => row[title] ?? ""));
    return stringify(
      (isFirst ? [titles, ...lines] : lines).map((cells) =>
        cells.map((cell) => (typeof cell === "number" ? String(cell) : shown(safe(cell)))),
      ),
      { delimiter, quoted_match: /[\t\r\n"]|^\s|\s$/ },
    );
  });
}

/** A table cell shows this much of a text. */
const shownCharacters = 60;
/** A table is begun when a page is full, or after so many milliseconds: the columns are as wide as its first page. */
const firstPageDelay = 300;

function tablePages(options: WriterOptions): Pages<Answered> {
  let columns: TableColumn[] = [];
  let linesOf = textTablePages(columns);
  return new Pages((answers, isFirst) => {
    const rows = rowsOf(answers, options);
    if (isFirst) {
      columns = columnsOf(rows, options);
      linesOf = textTablePages(columns);
    }
    const cells = rows.map((row) => columns.map(({ title }) => shorten(row[title] ?? "")));
    return forTerminal(`${linesOf(cells).join("\n")}\n`);
  }, firstPageDelay);
}

function shorten(cell: Cell): Cell {
  if (typeof cell === "number" || cell.length <= shownCharacters) return cell;
  // A character has two units at most.
  const characters = [...cell.slice(0, 2 * shownCharacters)];
  return characters.length > shownCharacters ? `${characters.slice(0, shownCharacters - 1).join("")}…` : cell;
}
