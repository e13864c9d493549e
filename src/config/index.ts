export type { DataConfig, MethodConfig, ReportConfig, RunConfig, TaskConfig } from "./config.ts";
export { type ConfigSource, parseConfig } from "./parse.ts";
export { redact } from "./redact.ts";
export { completeData, configDefaults, methodOf, readData, tableOptions, taskOf } from "./resolve.ts";
export { commentedConfig, formatConfig } from "./write.ts";
