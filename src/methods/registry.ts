import * as z from "zod";
import { PtuningError, parseOptions, withoutUndefined } from "../core/index.ts";
import { bitfitFamily } from "./bitfit.ts";
import { deepPromptFamily } from "./deep-prompt.ts";
import type { HeadKind } from "./defaults.ts";
import type { MethodFamily } from "./family.ts";
import { fineTuningFamily } from "./fine-tuning.ts";
import { linearProbeFamily } from "./linear-probe.ts";
import { loraFamily } from "./lora.ts";
import type { Method } from "./method.ts";
import { pTuningFamily } from "./p-tuning.ts";
import { promptTuningFamily } from "./prompt-tuning.ts";

/** Every method. The first is the default of a run. */
const families: readonly MethodFamily[] = [
  deepPromptFamily,
  promptTuningFamily,
  pTuningFamily,
  fineTuningFamily,
  linearProbeFamily,
  bitfitFamily,
  loraFamily,
];

/** Every method, by its name in configs and adapters. */
export const methods: Readonly<Record<string, MethodFamily>> = Object.fromEntries(
  families.map((family) => [family.name, family]),
);

/** Settings of another implementation to start from. */
const preset = z.enum(["thudm", "peft"]).exactOptional();

/**
 * A method from its name and options, as a config or an adapter holds them.
 * @param head what it shall be trained with, for options that are left open
 * @throws OPTION_INVALID if there is no such method, or it has no such options
 */
export function methodFrom(
  name: string,
  options: Readonly<Record<string, unknown>>,
  head: HeadKind = {},
): Method {
  const family = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (family === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `method: expected one of ${Object.keys(methods).join(", ")}, got "${name}".`,
    );
  }
  const given = parseOptions(family.settings.extend({ preset }), withoutUndefined(options), "method");
  return family.create(given, head);
}
