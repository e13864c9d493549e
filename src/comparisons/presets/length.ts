import { expectDeepPrompt, withMethod } from "../method-config.ts";
import { type Preset, trainingSeed, type Variant } from "../preset.ts";

/** The lengths of the released search (P-tuning-v2, `search_script/`). */
const usualLengths = [4, 8, 16, 32, 64, 128];
/** A prompt takes positions from the text: by itself the preset gives it no more than this share. */
const mostShare = 1 / 4;

/** The two ways to make a deep prompt, by the names that the paper's figure gives them. */
const ways = [
  { series: "embedding", suffix: "", reparameterization: "none" },
  { series: "MLP", suffix: ", MLP", reparameterization: "mlp" },
] as const;

/** Prompt lengths with and without the MLP (Liu et al. 2022, figure 4). */
export const lengthPreset: Preset = {
  ...trainingSeed,
  name: "length",
  title: "Prompt length and reparameterisation",
  seeds: 1,
  figure: { shape: "lines", axis: "prompt length", scale: "log" },
  takesMethods: false,
  takesValues: true,
  variants({ config, backbone, values }) {
    expectDeepPrompt(config, "length");
    const most = mostShare * backbone.config.maxPositions;
    const lengths = values ?? usualLengths.filter((length) => length <= most);
    return ways.flatMap(({ series, suffix, reparameterization }) =>
      lengths.map(
        (promptLength): Variant => ({
          ...{ name: `${promptLength}${suffix}`, series, at: promptLength },
          config: withMethod(config, { ...config.method, promptLength, reparameterization }),
        }),
      ),
    );
  },
};

/** The MLP or not, at the configured length. */
export const reparameterizationPreset: Preset = {
  ...trainingSeed,
  name: "reparameterization",
  title: "Reparameterisation",
  seeds: 3,
  figure: { shape: "bars" },
  takesMethods: false,
  takesValues: false,
  variants({ config }) {
    expectDeepPrompt(config, "reparameterization");
    return ways.map(({ series, reparameterization }) => ({
      name: series,
      config: withMethod(config, { ...config.method, reparameterization }),
    }));
  },
};
