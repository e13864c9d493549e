import { withMethod } from "../method-config.ts";
import type { Preset, Variant } from "../preset.ts";

/** Examples per label where nobody says. */
const usualShots = [4, 8, 16, 32, 64];

/** Few examples per label, drawn anew by each seed. */
export const shotsPreset: Preset = {
  name: "shots",
  title: "Few examples",
  seeds: 5,
  seedKeys: ["training.seed", "data.sampleSeed"],
  figure: { shape: "lines", axis: "training examples per label", scale: "log" },
  takesMethods: true,
  takesValues: true,
  variants({ config, methods: chosen = [config.method.name], values = usualShots }) {
    const { limit, ...data } = config.data;
    return chosen.flatMap((series) => {
      const own = withMethod({ ...config, data }, { name: series });
      return values.map(
        (shots): Variant => ({
          ...{ name: chosen.length === 1 ? `${shots}` : `${shots}, ${series}`, series, at: shots },
          config: { ...own, data: { ...own.data, shots } },
        }),
      );
    });
  },
};
