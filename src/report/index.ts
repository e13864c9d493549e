export { escapeControls, formatBytes, formatCount, formatDuration, formatShare } from "./format.ts";
export { type Cell, markdownTable, type TableColumn, textTable } from "./table.ts";
