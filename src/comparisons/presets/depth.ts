import { PtuningError } from "../../core/index.ts";
import { expectDeepPrompt, withMethod } from "../method-config.ts";
import { type Preset, trainingSeed, type Variant } from "../preset.ts";

/** Depths at most, so that with both orders there are fewer than twelve points: the paper's 4, 8, … 24 of 24. */
const mostDepths = 6;

/** Prompts on the first and on the last k layers (Liu et al. 2022, figure 3). */
export const depthPreset: Preset = {
  ...trainingSeed,
  name: "depth",
  title: "Prompt depth",
  seeds: 1,
  figure: { shape: "lines", axis: "layers with prompts", scale: "linear" },
  takesMethods: false,
  takesValues: true,
  variants({ config, backbone, values }) {
    expectDeepPrompt(config, "depth");
    const { numLayers } = backbone.config;
    const wrong = values?.find((depth) => depth > numLayers);
    if (wrong !== undefined) {
      throw new PtuningError(
        "OPTION_INVALID",
        `depth: expected at most the ${numLayers} layers of the backbone, got ${wrong}.`,
      );
    }
    const variant = (name: string, promptLayers: unknown, at: number, series?: string): Variant => ({
      ...{ name, at, ...(series !== undefined && { series }) },
      config: withMethod(config, { ...config.method, promptLayers }),
    });
    const depths = values ?? evenly(numLayers);
    const parts = depths.filter((depth) => depth < numLayers);
    return [
      ...parts.map((depth) => variant(`first ${depth}`, { first: depth }, depth, "ascending")),
      ...parts.map((depth) => variant(`last ${depth}`, { last: depth }, depth, "descending")),
      ...(depths.includes(numLayers) ? [variant(`all ${numLayers}`, "all", numLayers)] : []),
    ];
  },
};

/** Numbers of layers in equal steps up to all of them. */
function evenly(numLayers: number): number[] {
  const count = Math.min(mostDepths, numLayers);
  return Array.from({ length: count }, (_, i) => Math.round(((i + 1) * numLayers) / count));
}
