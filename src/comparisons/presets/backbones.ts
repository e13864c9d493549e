import { PtuningError } from "../../core/index.ts";
import { withMethod } from "../method-config.ts";
import { type Preset, trainingSeed, type Variant } from "../preset.ts";

/** Methods on backbones of several sizes, a curve for each method (Liu et al. 2022, figure 1). */
export const backbonesPreset: Preset = {
  ...trainingSeed,
  name: "backbones",
  title: "Sizes of the backbone",
  seeds: 3,
  figure: { shape: "lines", axis: "parameters of the backbone", scale: "log" },
  takesMethods: true,
  takesValues: false,
  takesBackbones: true,
  variants({ config, backbones = [], methods: chosen = [config.method.name] }) {
    if (backbones.length < 2) {
      throw new PtuningError("OPTION_INVALID", `backbones: expected two or more, got ${backbones.length}.`, {
        hint: "Name them: --backbones minilm mpnet.",
      });
    }
    return chosen.flatMap((series) =>
      backbones.map(
        ({ place, name, parameterCount }): Variant => ({
          ...{ name: `${series}, ${name}`, series, at: parameterCount },
          config: withMethod({ ...config, backbone: place }, { name: series }),
        }),
      ),
    );
  },
};
