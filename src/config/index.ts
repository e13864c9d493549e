export type { DataConfig, MethodConfig, ReportConfig, RunConfig, StartConfig, TaskConfig } from "./config.ts";
export { type ConfigSource, parseConfig } from "./parse.ts";
export { redact } from "./redact.ts";
export {
  type CompleteConfig,
  completeConfig,
  configDefaults,
  methodOf,
  readData,
  readOptions,
  taskOf,
} from "./resolve.ts";
export { commentedConfig, formatConfig } from "./write.ts";
