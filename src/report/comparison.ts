import { stringify } from "csv-stringify/sync";
import { escapeLines } from "../core/index.ts";
import { escapeCell } from "../data/index.ts";
import type { Scores } from "../metrics/index.ts";
import { formatBytes, formatCount } from "./format.ts";
import { markdownTable, type TableColumn, textTable } from "./table.ts";

/** One run of a comparison. */
export interface ComparedRun {
  readonly seed: number;
  /** Folder of its trial. */
  readonly id: string;
  readonly state: "waiting" | "finished" | "failed";
  /** Of the kept state. */
  readonly dev?: Scores;
  readonly test?: Scores;
  /** Trained numbers. */
  readonly trainable?: number;
  readonly secondsPerEpoch?: number;
  /** Training and evaluation until the state that was kept. */
  readonly secondsToBest?: number;
  readonly peakMemoryBytes?: number;
  /** Weights of what was saved. */
  readonly fileBytes?: number;
  /** Of the frozen layers. */
  readonly precision?: string;
  /** Why it failed. */
  readonly error?: { readonly code?: string; readonly message: string };
}

/** One thing that is compared, with a run per seed. */
export interface ComparedVariant {
  readonly name: string;
  /** Curve that it is a point of, in figures of lines; absent where it lies on all of them. */
  readonly series?: string;
  /** Its place on the axis of such a figure. */
  readonly at?: number;
  readonly runs: readonly ComparedRun[];
}

/** How a comparison is drawn: a bar for each variant, or curves over a number. */
export type ComparisonFigure =
  | { readonly shape: "bars" }
  | { readonly shape: "lines"; readonly axis: string; readonly scale: "linear" | "log" };

/** A comparison as its table and figure show it: the content of `comparison.json`. */
export interface Comparison {
  readonly title: string;
  readonly task: string;
  readonly backbone: string;
  /** What the table holds against each other. */
  readonly score: { readonly name: string; readonly on: "dev" | "test" };
  readonly variants: readonly ComparedVariant[];
  readonly figure: ComparisonFigure;
  /** Of data and backbone. */
  readonly fingerprints: { readonly data: string; readonly backbone: string };
  readonly hardware: string;
  /** When it was written: an ISO date. */
  readonly createdAt: string;
  readonly version: string;
}

/** Mean over runs, and the standard deviation between them (n − 1), where there are two or more. */
export interface Spread {
  readonly mean: number;
  readonly deviation?: number;
  readonly count: number;
}

/** Mean and deviation of what is there; undefined of nothing. */
export function spreadOf(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined);
  const count = known.length;
  if (count === 0) return undefined;
  const mean = known.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { mean, count };
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (count - 1)), count };
}

/** The score of a run that the comparison is about. */
export function scoreOf({ score }: Pick<Comparison, "score">, run: ComparedRun): number | undefined {
  return run[score.on]?.[score.name];
}

/** What a table says of a variant: means over its finished runs. */
export interface ComparisonRow {
  readonly name: string;
  readonly score?: Spread;
  readonly trainable?: number;
  readonly secondsPerEpoch?: number;
  readonly secondsToBest?: number;
  readonly peakMemoryBytes?: number;
  readonly fileBytes?: number;
  /** What failed or is not done yet. */
  readonly note?: string;
}

/** The rows of the table, in the order of the variants. */
export function comparisonRows(comparison: Comparison): ComparisonRow[] {
  return comparison.variants.map(({ name, runs }) => {
    const score = spreadOf(runs.map((run) => scoreOf(comparison, run)));
    const note = noteOf(runs);
    const mean = <K extends keyof ComparedRun & keyof ComparisonRow>(key: K): object => {
      const spread = spreadOf(runs.map((run) => run[key] as number | undefined));
      return spread ? { [key]: spread.mean } : {};
    };
    return {
      name,
      ...(score && { score }),
      ...mean("trainable"),
      ...mean("secondsPerEpoch"),
      ...mean("secondsToBest"),
      ...mean("peakMemoryBytes"),
      ...mean("fileBytes"),
      ...(note !== undefined && { note }),
    };
  });
}

/** The first failure, and how many runs it or the waiting concerns where it is not all. */
function noteOf(runs: readonly ComparedRun[]): string | undefined {
  const failed = runs.filter(({ state }) => state === "failed");
  const waiting = runs.filter(({ state }) => state === "waiting");
  const parts: string[] = [];
  const share = (part: readonly ComparedRun[]): string =>
    part.length === runs.length ? "" : `${part.length} of ${runs.length} `;
  if (failed.length > 0) {
    const { code, message } = failed[0]!.error ?? { code: undefined, message: "no message" };
    parts.push(`${share(failed)}failed: ${code ? `${code}: ` : ""}${message.split("\n")[0]}`);
  }
  if (waiting.length > 0) parts.push(`${share(waiting)}not done yet`);
  return parts.length === 0 ? undefined : parts.join("; ");
}

interface Column extends TableColumn {
  cell(row: ComparisonRow): string | number;
}

const column = (
  title: string,
  key: keyof ComparisonRow & keyof ComparedRun,
  format: (value: number) => string | number,
): Column => ({ title, right: true, cell: (row) => (row[key] === undefined ? "" : format(row[key])) });

/** Seconds with as many digits as tell them apart. */
const seconds = (value: number): string => (value < 10 ? value.toFixed(2) : value.toFixed(0));

/** Figures of a variant beside its score, as tables for people show them. */
export const costColumns: readonly Column[] = [
  column("trainable", "trainable", (value) => formatCount(Math.round(value))),
  column("s/epoch", "secondsPerEpoch", seconds),
  column("s to best", "secondsToBest", seconds),
  column("peak memory", "peakMemoryBytes", formatBytes),
  column("saved", "fileBytes", formatBytes),
];

/** `0.9453 ± 0.0061` */
export function spreadText(spread: Spread | undefined): string {
  if (spread === undefined) return "";
  const { mean, deviation } = spread;
  return mean.toFixed(4) + (deviation === undefined ? "" : ` ± ${deviation.toFixed(4)}`);
}

/** The table for a terminal. */
export function comparisonText(comparison: Comparison): string {
  const { columns, cells } = tableOf(comparison);
  return textTable(
    columns,
    cells.map((row) => row.map(String)),
  );
}

/** The table as Markdown, with the figure beside it and how it came about. */
export function comparisonMarkdown(comparison: Comparison, figureFile?: string): string {
  const { columns, cells } = tableOf(comparison);
  const { version, createdAt } = comparison;
  const [title, task, backbone, hardware] = (["title", "task", "backbone", "hardware"] as const).map((key) =>
    escaped(comparison[key]),
  );
  const text = [
    `# ${title}`,
    "",
    `Task ${task}, backbone ${backbone}. Mean ± standard deviation over ${runsText(comparison)}.`,
    "",
    markdownTable(
      columns,
      cells.map((row) => row.map((cell) => (typeof cell === "string" ? escaped(cell) : cell))),
    ),
    ...(figureFile ? ["", `![${title}](${figureFile})`] : []),
    "",
    `ptuning ${version}, ${createdAt.slice(0, 10)}, ${hardware}.`,
    "",
  ].join("\n");
  return escapeLines(text);
}

/** A text that Markdown takes as one: no tags, links or emphasis. */
function escaped(text: string): string {
  return text
    .replace(/[\\`*[\]]/g, "\\$&")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;");
}

/** The table as CSV, in plain numbers: seconds, bytes. */
export function comparisonCsv(comparison: Comparison): string {
  const { score } = comparison;
  const rows = comparisonRows(comparison).map((row, i) => {
    const { series, at, runs } = comparison.variants[i]!;
    const { secondsPerEpoch, secondsToBest, peakMemoryBytes, fileBytes } = row;
    return {
      name: row.name,
      series,
      at,
      score: `${score.on} ${score.name}`,
      mean: row.score?.mean,
      deviation: row.score?.deviation,
      finished: row.score?.count ?? 0,
      runs: runs.length,
      trainable: row.trainable,
      ...{ secondsPerEpoch, secondsToBest, peakMemoryBytes, fileBytes },
      note: row.note,
    };
  });
  const safe = (value: unknown): unknown => (typeof value === "string" ? escapeCell(value) : value);
  return stringify(
    rows.map((row) => Object.fromEntries(Object.entries(row).map(([key, value]) => [key, safe(value)]))),
    { header: true },
  );
}

/** `3 seeds` */
export function runsText({ variants }: Pick<Comparison, "variants">): string {
  const seeds = new Set(variants.flatMap(({ runs }) => runs.map(({ seed }) => seed))).size;
  return `${seeds} ${seeds === 1 ? "seed" : "seeds"}`;
}

function tableOf(comparison: Comparison): { columns: readonly TableColumn[]; cells: (string | number)[][] } {
  const rows = comparisonRows(comparison);
  const hasNotes = rows.some(({ note }) => note !== undefined);
  const { score } = comparison;
  const columns: readonly Column[] = [
    { title: "", cell: ({ name }) => name },
    { title: `${score.on} ${score.name}`, cell: (row) => spreadText(row.score) },
    ...costColumns,
    ...(hasNotes ? [{ title: "note", cell: ({ note }: ComparisonRow) => note ?? "" }] : []),
  ];
  return {
    columns,
    cells: rows.map((row) => columns.map(({ cell }) => cell(row))),
  };
}
