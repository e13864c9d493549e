import { PtuningError, shown } from "../core/index.ts";

/** Which layers get a prompt: all, the `first` nearest the input, the `last` nearest the output, or 0-based numbers. */
export type PromptLayers = "all" | { readonly first: number } | { readonly last: number } | readonly number[];

/**
 * The layers as ascending 0-based numbers.
 * @throws OPTION_INVALID if a layer does not exist or none is chosen
 */
export function resolvePromptLayers(layers: PromptLayers, numLayers: number): number[] {
  const fail = (expected: string): never => {
    throw new PtuningError(
      "OPTION_INVALID",
      `promptLayers: expected ${expected}, got ${shown(layers)} for a backbone of ${numLayers} layers.`,
    );
  };
  const all = Array.from({ length: numLayers }, (_, layer) => layer);
  if (layers === "all") return all;
  if (typeof layers !== "object" || layers === null) fail("all, {first: k}, {last: k} or a list of layers");
  if ("first" in layers || "last" in layers) {
    const count = "first" in layers ? layers.first : layers.last;
    if (!Number.isInteger(count) || count < 1 || count > numLayers) fail(`a count from 1 to ${numLayers}`);
    return "first" in layers ? all.slice(0, count) : all.slice(-count);
  }
  if (!Array.isArray(layers)) fail("all, {first: k}, {last: k} or a list of layers");
  const chosen = [...new Set(layers)].sort((a, b) => a - b);
  if (chosen.length === 0 || chosen.length !== layers.length) fail("distinct layers, at least one");
  if (chosen.some((layer) => !all.includes(layer))) fail(`layers from 0 to ${numLayers - 1}`);
  return chosen;
}
