export { bitfit } from "./bitfit.ts";
export {
  type DeepPromptOptions,
  deepPrompt,
  promptEmbeddings,
  type Reparameterization,
} from "./deep-prompt.ts";
export { fineTuning } from "./fine-tuning.ts";
export { linearProbe } from "./linear-probe.ts";
export type {
  Folding,
  Method,
  MethodDefaults,
  Parameter,
  ParamValues,
  PeftMethod,
  StartingPoint,
} from "./method.ts";
export { type PromptLayers, resolvePromptLayers } from "./prompt-layers.ts";
export { methodFrom, methods } from "./registry.ts";
