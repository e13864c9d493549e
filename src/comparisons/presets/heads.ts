import { overrideConfig } from "../../config/index.ts";
import { PtuningError } from "../../core/index.ts";
import { poolingNames } from "../../heads/index.ts";
import { familyOf } from "../../tasks/index.ts";
import { type Preset, trainingSeed } from "../preset.ts";

/** Ways to come from hidden states to labels (Liu et al. 2022, table 4). */
export const headsPreset: Preset = {
  ...trainingSeed,
  name: "heads",
  title: "Heads",
  seeds: 3,
  figure: { shape: "bars" },
  takesMethods: false,
  takesValues: false,
  variants({ config }) {
    const { type, settings } = familyOf(config.task.type);
    if (!("pooling" in settings.shape)) {
      throw new PtuningError("OPTION_INVALID", `heads: expected a task with several heads, got ${type}.`, {
        hint: "Tasks on whole texts have them: docs/tasks.md lists their settings.",
      });
    }
    return poolingNames.map((pooling) => ({
      name: `${pooling} + linear`,
      config: overrideConfig(config, { "task.pooling": pooling }),
    }));
  },
};
