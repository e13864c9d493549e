export type { DataConfig, MethodConfig, RunConfig, TaskConfig } from "./config.ts";
export { type ConfigSource, parseConfig } from "./parse.ts";
export { redact } from "./redact.ts";
export { completeData, methodOf, readData, tableOptions, taskOf } from "./resolve.ts";
export { commentedConfig, formatConfig } from "./write.ts";
