export { createRun, type RunFolder, readRunConfig, resumeRun, runStatus } from "./run-folder.ts";
export { readStart } from "./start.ts";
export { type ReportParts, writeReport } from "./write-report.ts";
