import { hasLmHead } from "../../backbones/index.ts";
import type { CompleteConfig } from "../../config/index.ts";
import { overrideConfig } from "../../config/index.ts";
import { PtuningError } from "../../core/index.ts";
import { poolingNames, sequenceHead } from "../../heads/index.ts";
import { familyOf } from "../../tasks/index.ts";
import { type Preset, trainingSeed, type Variant } from "../preset.ts";

/**
 * Ways to come from hidden states to labels (Liu et al. 2022, table 4): the first position with a linear layer against
 * a verbalizer where task and backbone have one, else the ways of pooling.
 */
export const headsPreset: Preset = {
  ...trainingSeed,
  name: "heads",
  title: "Heads",
  seeds: 3,
  figure: { shape: "bars" },
  takesMethods: false,
  takesValues: false,
  variants({ config, backbone }) {
    const { type, settings } = familyOf(config.task.type);
    const keys = Object.keys(settings.shape);
    if (!keys.includes("pooling")) {
      throw new PtuningError("OPTION_INVALID", `heads: expected a task with several heads, got ${type}.`, {
        hint: "Tasks on whole texts have them: docs/tasks.md lists their settings.",
      });
    }
    if (keys.includes("head") && hasLmHead(backbone)) return linearAndVerbalizer(config);
    const task = without(config, verbalizerKeys);
    // Ways to read the last layer.
    const poolings = poolingNames.filter((pooling) => !sequenceHead(1, { pooling }).everyLayer);
    return poolings.map((pooling) => ({
      name: `${pooling} + linear`,
      config: overrideConfig(config, { task: { ...task, pooling } }),
    }));
  },
};

/** Settings that belong to one of the two heads and are refused beside the other. */
const verbalizerKeys = ["head", "template", "words", "calibrate"];
const linearKeys = ["pooling", "headDropout"];

function linearAndVerbalizer(config: CompleteConfig): Variant[] {
  // Presets of other implementations pool that position in their own way.
  const pooling = config.preset === undefined ? { pooling: "cls" } : {};
  const linear = { ...pooling, ...without(config, verbalizerKeys) };
  const verbalizer = { ...without(config, linearKeys), head: "verbalizer" };
  return [
    { name: "[CLS] + linear", config: overrideConfig(config, { task: linear }) },
    { name: "verbalizer + LM head", config: overrideConfig(config, { task: verbalizer }) },
  ];
}

function without({ task }: CompleteConfig, keys: readonly string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(task).filter(([key]) => !keys.includes(key)));
}
