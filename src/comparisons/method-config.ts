import { methodOf, overrideConfig, type RunConfig } from "../config/index.ts";
import { PtuningError } from "../core/index.ts";
import type { MethodDefaults } from "../methods/index.ts";

/** Settings of training that methods have a say in. */
const methodSettings: { readonly [K in keyof MethodDefaults | "headLearningRate"]-?: true } = {
  learningRate: true,
  headLearningRate: true,
  optimizer: true,
  schedule: true,
  warmupSteps: true,
  weightDecay: true,
  hiddenDropout: true,
  attentionDropout: true,
};

/**
 * The configuration with another method, or the same one with other options. Training settings that were chosen for
 * one method say nothing about another: where the name or the method's own defaults differ, those defaults hold.
 * @throws CONFIG_INVALID
 */
export function withMethod(config: RunConfig, method: Readonly<Record<string, unknown>>): RunConfig {
  if (method.name === config.method.name && Object.keys(method).length === 1) return config;
  const isSame = method.name === config.method.name;
  const changed = overrideConfig(config, { method: isSame ? { ...config.method, ...method } : method });
  const defaults = ({ defaults }: ReturnType<typeof methodOf>): string => JSON.stringify(defaults);
  if (isSame && defaults(methodOf(changed)) === defaults(methodOf(config))) return changed;
  const kept = Object.fromEntries(
    Object.entries(changed.training).filter(([key]) => !(key in methodSettings)),
  );
  return { ...changed, training: kept };
}

/**
 * Refuses a run that tunes in another way than by deep prompts.
 * @throws OPTION_INVALID
 */
export function expectDeepPrompt({ method }: RunConfig, preset: string): void {
  if (method.name === "p-tuning-v2") return;
  throw new PtuningError("OPTION_INVALID", `${preset}: expected method p-tuning-v2, got ${method.name}.`);
}
