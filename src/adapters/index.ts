export { loadAdapter, openAdapter } from "./load.ts";
export * from "./portable.ts";
