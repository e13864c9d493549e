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
export { escapeControls, formatBytes, formatCount, formatDuration, formatShare } from "./format.ts";
export { renderComparison, renderReport } from "./render.ts";
export type {
  NamedTaskReport,
  ReviewedSplit,
  RunLog,
  RunReport,
  RunResult,
  TaskReport,
} from "./run-report.ts";
export { type Cell, markdownTable, type TableColumn, textTable } from "./table.ts";
