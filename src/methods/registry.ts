import * as z from "zod";
import { PtuningError, parseOptions, withoutUndefined } from "../core/index.ts";
import { bitfit } from "./bitfit.ts";
import { deepPrompt, deepPromptDefaults } from "./deep-prompt.ts";
import type { HeadKind } from "./defaults.ts";
import { fineTuning } from "./fine-tuning.ts";
import { linearProbe } from "./linear-probe.ts";
import type { Method } from "./method.ts";
import { type PTuningOptions, pTuning } from "./p-tuning.ts";
import { type PromptTuningOptions, promptTuning } from "./prompt-tuning.ts";
import { methodSettings } from "./settings.ts";

/** Settings of another implementation to start from. */
const preset = z.enum(["thudm", "peft"]).exactOptional();

/** What makes a method of its options; what they leave open may depend on the head. */
type MakeMethod = (options: Readonly<Record<string, unknown>>, head: HeadKind) => Method;

/** Every method, by its name in configs and adapters. */
export const methods: Readonly<Record<string, MakeMethod>> = {
  "p-tuning-v2": (options, head) => deepPrompt({ ...deepPromptDefaults(head), ...options }),
  "prompt-tuning": (options) => promptTuning(options as PromptTuningOptions),
  "p-tuning": (options) => pTuning(options as PTuningOptions),
  "fine-tuning": () => fineTuning(),
  "linear-probe": () => linearProbe(),
  bitfit: () => bitfit(),
};

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
  const make = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (make === undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `method: expected one of ${Object.keys(methods).join(", ")}, got "${name}".`,
    );
  }
  return make(
    parseOptions(methodSettings[name]!.extend({ preset }), withoutUndefined(options), "method"),
    head,
  );
}

/** Methods of adapters that PEFT saved, by its `peft_type`; what a network made is saved as a plain prompt. */
export const peftMethods: Readonly<Record<string, (promptLength: number) => Method>> = {
  PREFIX_TUNING: (promptLength) => deepPrompt({ preset: "peft", promptLength }),
  PROMPT_TUNING: (promptLength) => promptTuning({ preset: "peft", promptLength }),
  P_TUNING: (promptLength) => promptTuning({ preset: "peft", promptLength }),
};
