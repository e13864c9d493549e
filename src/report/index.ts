export { escapeControls, formatBytes, formatCount, formatDuration, formatShare } from "./format.ts";
export { renderReport } from "./render.ts";
export type { ReviewedSplit, RunLog, RunReport, RunResult } from "./run-report.ts";
export { type Cell, markdownTable, type TableColumn, textTable } from "./table.ts";
