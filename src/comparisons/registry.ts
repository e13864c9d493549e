import { closest, PtuningError } from "../core/index.ts";
import type { Preset } from "./preset.ts";
import { backbonesPreset } from "./presets/backbones.ts";
import { depthPreset } from "./presets/depth.ts";
import { headsPreset } from "./presets/heads.ts";
import { lengthPreset, reparameterizationPreset } from "./presets/length.ts";
import { methodsPreset } from "./presets/methods.ts";
import { shotsPreset } from "./presets/shots.ts";

/** Every kind of comparison; the first is the default. */
export const presets: readonly Preset[] = [
  methodsPreset,
  depthPreset,
  reparameterizationPreset,
  lengthPreset,
  headsPreset,
  shotsPreset,
  backbonesPreset,
];

/**
 * The preset of a name.
 * @throws OPTION_INVALID if there is none
 */
export function presetOf(name: string): Preset {
  const found = presets.find((preset) => preset.name === name);
  if (found !== undefined) return found;
  const names = presets.map((preset) => preset.name);
  const near = closest(name, names);
  throw new PtuningError("OPTION_INVALID", `preset: expected one of ${names.join(", ")}, got "${name}".`, {
    ...(near !== undefined && { hint: `Did you mean "${near}"?` }),
  });
}
