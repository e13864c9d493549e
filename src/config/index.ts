export type { DataConfig, MethodConfig, ReportConfig, RunConfig, StartConfig, TaskConfig } from "./config.ts";
export { type ConfigSource, overrideConfig, parseConfig } from "./parse.ts";
export { redact } from "./redact.ts";
export {
  type CompleteConfig,
  completeConfig,
  configDefaults,
  firstPath,
  methodOf,
  readData,
  readOptions,
  taskOf,
} from "./resolve.ts";
export { commentedConfig, formatConfig } from "./write.ts";
