export {
  type DeepPromptOptions,
  deepPrompt,
  promptEmbeddings,
  type Reparameterization,
} from "./deep-prompt.ts";
export type { Folding, Method, ParamValues, PeftMethod } from "./method.ts";
export { type PromptLayers, resolvePromptLayers } from "./prompt-layers.ts";
export { methodFrom, methods } from "./registry.ts";
