export { bitfit } from "./bitfit.ts";
export {
  type DeepPromptInit,
  type DeepPromptOptions,
  deepPrompt,
  promptEmbeddings,
  type Reparameterization,
} from "./deep-prompt.ts";
export { methodDefaults } from "./defaults.ts";
export type { MethodFamily } from "./family.ts";
export { fineTuning } from "./fine-tuning.ts";
export type { InputPromptOptions } from "./input-prompt.ts";
export { type LinearProbeOptions, linearProbe } from "./linear-probe.ts";
export { type LoraOptions, type LoraTargets, lora } from "./lora.ts";
export type {
  ExampleParams,
  Folding,
  MergeSource,
  Method,
  MethodDefaults,
  MixedMethod,
  Parameter,
  ParamValues,
  StartingPoint,
} from "./method.ts";
export { type PTuningOptions, pTuning } from "./p-tuning.ts";
export { precisionFor } from "./precision.ts";
export { type PromptLayers, resolvePromptLayers } from "./prompt-layers.ts";
export {
  type PromptInit,
  type PromptTuningOptions,
  promptInput,
  promptTuning,
} from "./prompt-tuning.ts";
export { methodFrom, methods } from "./registry.ts";
export { promptLength } from "./settings.ts";
