import { methods } from "../../methods/index.ts";
import { withMethod } from "../method-config.ts";
import { type Preset, trainingSeed } from "../preset.ts";

/** Methods side by side, each with its own defaults; the configured one as configured. */
export const methodsPreset: Preset = {
  ...trainingSeed,
  name: "methods",
  title: "Methods",
  seeds: 3,
  figure: { shape: "bars" },
  takesMethods: true,
  takesValues: false,
  variants: ({ config, methods: chosen = Object.keys(methods) }) =>
    chosen.map((name) => ({ name, config: withMethod(config, { name }) })),
};
