export type {
  AnyRunConfig,
  DataConfig,
  HalvingConfig,
  MethodConfig,
  MultiTaskConfig,
  ReportConfig,
  RunConfig,
  SearchConfig,
  SearchParameter,
  SearchRange,
  SharedConfig,
  StartConfig,
  TaskConfig,
  TaskEntry,
} from "./config.ts";
export {
  type ConfigSource,
  overrideConfig,
  parseConfig,
  parseRunConfig,
  refuseForbiddenKeys,
} from "./parse.ts";
export { mapPaths } from "./paths.ts";
export { redact, refuseSecrets } from "./redact.ts";
export {
  asParted,
  type CompleteConfig,
  completeConfig,
  configDefaults,
  firstPath,
  holdingBack,
  methodOf,
  readData,
  readOptions,
  taskOf,
} from "./resolve.ts";
export { type CompleteRunConfig, completeRunConfig, readTasks, settledConfig, taskConfigs } from "./tasks.ts";
export { isConfigFile } from "./told.ts";
export { commentedConfig, formatConfig } from "./write.ts";
