import * as z from "zod";
import { PtuningError, shown } from "../core/index.ts";
import { count } from "./settings.ts";

/** Which layers get something: all, the `first` nearest the input, the `last` nearest the output, or 0-based numbers. */
export type PromptLayers = "all" | { readonly first: number } | { readonly last: number } | readonly number[];

/** The setting. */
export const promptLayers: z.ZodUnion = z.union([
  z.literal("all"),
  z.strictObject({ first: count }),
  z.strictObject({ last: count }),
  z.array(z.int().nonnegative()).min(1).max(1000),
]);

/**
 * The layers as ascending 0-based numbers.
 * @throws OPTION_INVALID if a layer does not exist or none is chosen
 */
export function resolvePromptLayers(
  layers: PromptLayers,
  numLayers: number,
  setting = "promptLayers",
): number[] {
  const fail = (expected: string): never => {
    throw new PtuningError(
      "OPTION_INVALID",
      `${setting}: expected ${expected}, got ${shown(layers)} for a backbone of ${numLayers} layers.`,
    );
  };
  const all = Array.from({ length: numLayers }, (_, layer) => layer);
  if (layers === "all") return all;
  if (typeof layers !== "object" || layers === null) fail("all, {first: k}, {last: k} or a list of layers");
  if ("first" in layers || "last" in layers) {
    const wanted = "first" in layers ? layers.first : layers.last;
    if (!Number.isInteger(wanted) || wanted < 1 || wanted > numLayers) fail(`a count from 1 to ${numLayers}`);
    return "first" in layers ? all.slice(0, wanted) : all.slice(-wanted);
  }
  if (!Array.isArray(layers)) fail("all, {first: k}, {last: k} or a list of layers");
  const chosen = [...new Set(layers)].sort((a, b) => a - b);
  if (chosen.length === 0 || chosen.length !== layers.length) fail("distinct layers, at least one");
  if (chosen.some((layer) => !all.includes(layer))) fail(`layers from 0 to ${numLayers - 1}`);
  return chosen;
}
