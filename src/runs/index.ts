export { createRun, type RunFolder, readRunConfig, resumeRun, runStatus } from "./run-folder.ts";
export { type ReportParts, writeReport } from "./write-report.ts";
