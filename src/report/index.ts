export {
  type ComparedRun,
  type ComparedVariant,
  type Comparison,
  type ComparisonFigure,
  comparisonCsv,
  comparisonMarkdown,
  comparisonText,
  spreadOf,
} from "./comparison.ts";
export { formatBytes, formatCount, formatDuration, formatShare } from "./format.ts";
export { renderComparison, renderReport, renderSearch } from "./render.ts";
export type {
  NamedTaskReport,
  ReviewedSplit,
  RunLog,
  RunReport,
  RunResult,
  TaskReport,
} from "./run-report.ts";
export {
  type HeatMap,
  type KeyImportance,
  type SearchedTrial,
  type SearchReport,
  searchMarkdown,
  searchText,
} from "./search.ts";
export { type Cell, markdownTable, type TableColumn, textTable, textTablePages } from "./table.ts";
