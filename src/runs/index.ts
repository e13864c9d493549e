export { readRunLog } from "./log.ts";
export { holdsRun } from "./replace.ts";
export {
  createRun,
  expectNoRun,
  expectRunOrNothing,
  isRunElsewhere,
  type RunFolder,
  readRunConfig,
  readRunResult,
  resumeRun,
  runStatus,
} from "./run-folder.ts";
export { readStart } from "./start.ts";
export { type ReportedTask, type ReportParts, writeReport } from "./write-report.ts";
