export * from "./portable.ts";
export { readState, writeState } from "./state-file.ts";
