export { createRun, type RunFolder, resumeRun, runStatus } from "./run-folder.ts";
