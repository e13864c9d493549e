import { escapeLines } from "../core/index.ts";
import type { Scores } from "../metrics/index.ts";
import { formatCount, formatDuration } from "./format.ts";
import { markdownTable, type TableColumn, textTable } from "./table.ts";

/** One trial of a search. */
export interface SearchedTrial {
  readonly id: string;
  /** Texts of the values, by key. */
  readonly values: Readonly<Record<string, string>>;
  /** Of the state that was kept; absent where the trial failed. */
  readonly dev?: Scores;
  readonly test?: Scores;
  readonly trainable?: number;
  readonly seconds?: number;
  readonly precision?: string;
  /** Why it failed. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** How much of the differences between trials a key explains. */
export interface KeyImportance {
  readonly key: string;
  readonly levels: number;
  /** η² of a one-way analysis of variance. */
  readonly explained: number;
  /** The same without what chance explains; absent where each trial is a level of its own. */
  readonly adjusted?: number;
}

/** Scores over two keys. */
export interface HeatMap {
  readonly x: { readonly key: string; readonly levels: readonly string[] };
  readonly y: { readonly key: string; readonly levels: readonly string[] };
  /** The best score at each place, over everything else that varied. */
  readonly cells: readonly {
    readonly x: string;
    readonly y: string;
    readonly score: number;
    readonly count: number;
  }[];
}

/** A search as its tables and figures show it: the content of `results.json`. */
export interface SearchReport {
  readonly title: string;
  readonly task: string;
  readonly backbone: string;
  readonly strategy: string;
  /** Dev score by which trials are compared; absent where none finished. */
  readonly score?: { readonly name: string; readonly lowerIsBetter: boolean };
  /** Keys that vary. */
  readonly keys: readonly string[];
  readonly trials: readonly SearchedTrial[];
  /** Ids from the best to the worst; without those that have no score. */
  readonly ranking: readonly string[];
  readonly importance: readonly KeyImportance[];
  readonly heatMap?: HeatMap;
  /** Time that was searched. */
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly hardware: string;
  /** When it was written: an ISO date. */
  readonly createdAt: string;
  readonly version: string;
}

/** Name of a key without its section. */
export function shortKey(key: string): string {
  return key.slice(key.lastIndexOf(".") + 1);
}

const importanceColumns: readonly TableColumn[] = [
  { title: "key" },
  { title: "levels" },
  { title: "explained", digits: 3 },
  { title: "adjusted", digits: 3 },
];

/** How the importance of keys is measured, for people. */
export const importanceNote: string =
  "Explained: η², the share of the score's variance between the means of a key's levels (one-way analyses of variance, " +
  "the main effects of a functional ANOVA on marginal means). Adjusted: without what as many levels explain by chance. " +
  "What keys do only together is in neither.";

/** Columns and rows of the trials, from the best to the worst, failures last. */
export function searchRows(report: SearchReport): {
  columns: TableColumn[];
  rows: (string | number)[][];
} {
  const { keys, score, trials, ranking } = report;
  const place = new Map(ranking.map((id, i) => [id, i]));
  const ordered = trials.toSorted(
    (a, b) => (place.get(a.id) ?? ranking.length) - (place.get(b.id) ?? ranking.length),
  );
  const name = score?.name ?? "score";
  const columns: TableColumn[] = [
    ...keys.map((key) => ({ title: shortKey(key), right: true })),
    { title: `dev ${name}`, right: true },
    ...(name === "loss" ? [] : [{ title: `test ${name}`, right: true }]),
    { title: "trainable", right: true },
    { title: "time", right: true },
    { title: "trial" },
  ];
  const scoreText = (scores: Scores | undefined): string => scores?.[name]?.toFixed(4) ?? "";
  const rows = ordered.map(({ id, values, dev, test, trainable, seconds, error }) => [
    ...keys.map((key) => values[key] ?? ""),
    error ? `failed: ${error.code}` : scoreText(dev),
    ...(name === "loss" ? [] : [scoreText(test)]),
    trainable === undefined ? "" : formatCount(trainable),
    seconds === undefined ? "" : formatDuration(seconds),
    id,
  ]);
  return { columns, rows };
}

/** Rows of the importance table. */
function importanceRows({ importance }: SearchReport): (string | number)[][] {
  return importance.map(({ key, levels, explained, adjusted }) => [key, levels, explained, adjusted ?? "–"]);
}

/** The best trials and the importance of keys, for a terminal. */
export function searchText(report: SearchReport, mostTrials = 10): string {
  const { columns, rows } = searchRows(report);
  const shown = rows.slice(0, mostTrials);
  const parts = [textTable(columns, shown)];
  if (rows.length > shown.length) parts.push(`… and ${rows.length - shown.length} more`);
  const { importance } = report;
  if (importance.length > 0) parts.push("", textTable(importanceColumns, importanceRows(report)));
  return parts.join("\n");
}

/** The same as Markdown, with all trials. @param mapFile name of the heat map's file */
export function searchMarkdown(report: SearchReport, mapFile?: string): string {
  const { title, task, backbone, strategy, trials, seconds, notes, hardware, version, createdAt } = report;
  const { columns, rows } = searchRows(report);
  const escaped = (cell: string | number): string | number =>
    typeof cell === "string"
      ? cell
          .replace(/[\\`*_[\]]/g, "\\$&")
          .replaceAll("&", "&amp;")
          .replaceAll("<", "&lt;")
      : cell;
  const text = [
    `# ${escaped(title)}`,
    "",
    `Task ${escaped(task)}, backbone ${escaped(backbone)}. ${trials.length} trials, ${strategy} search, ` +
      `${formatDuration(seconds)}.`,
    ...notes.flatMap((note) => ["", note]),
    "",
    markdownTable(
      columns,
      rows.map((row) => row.map(escaped)),
    ),
    ...(mapFile ? ["", `![${mapTitle(report)}](${mapFile})`] : []),
    ...(report.importance.length > 0
      ? [
          "",
          "## Importance of keys",
          "",
          markdownTable(
            importanceColumns,
            importanceRows(report).map((row) => row.map(escaped)),
          ),
          "",
          importanceNote,
        ]
      : []),
    "",
    `ptuning ${version}, ${createdAt.slice(0, 10)}, ${hardware}.`,
    "",
  ].join("\n");
  return escapeLines(text);
}

/** What the heat map shows. */
export function mapTitle({ score, heatMap }: SearchReport): string {
  const keys = heatMap ? `${shortKey(heatMap.x.key)} × ${shortKey(heatMap.y.key)}` : "";
  return `best dev ${score?.name ?? "score"} by ${keys}`;
}
