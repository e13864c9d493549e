export type {
  DataConfig,
  HalvingConfig,
  MethodConfig,
  ReportConfig,
  RunConfig,
  SearchConfig,
  SearchParameter,
  SearchRange,
  TaskConfig,
} from "./config.ts";
export { type ConfigSource, overrideConfig, parseConfig, refuseForbiddenKeys } from "./parse.ts";
export { mapPaths } from "./paths.ts";
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
