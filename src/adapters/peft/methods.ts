import type { Refusal } from "../../core/index.ts";
import type { Method } from "../../methods/index.ts";
import { peftLora } from "./lora.ts";
import type { PeftMapping, PeftMethod, PeftReader, PeftSizes } from "./mapping.ts";
import { peftDeepPrompt, peftPromptTuning } from "./prompts.ts";

const refused = (reason: string): PeftMapping => ({ write: () => ({ reason }) });

/** How every method is exchanged with PEFT, by its name. */
const mappings: Readonly<Record<string, PeftMapping>> = {
  "p-tuning-v2": peftDeepPrompt,
  "prompt-tuning": peftPromptTuning,
  "p-tuning": refused("PEFT saves the prompt that the network makes"),
  lora: peftLora,
  bitfit: refused("PEFT has no BitFit"),
  "linear-probe": refused("PEFT has no method that trains a head alone"),
  "fine-tuning": refused("all weights were trained: this is a checkpoint, transformers loads it"),
};

/** What PEFT calls a method, for adapters that it shall load; or why it cannot compute the same. */
export function peftMethod(
  { name, options }: Pick<Method, "name" | "options">,
  sizes: PeftSizes,
): PeftMethod | Refusal {
  const mapping = Object.hasOwn(mappings, name) ? mappings[name] : undefined;
  return mapping?.write(options as never, sizes) ?? { reason: `PEFT does not know ${name}` };
}

/** How adapters that PEFT saved are read, by their `peft_type`. */
export const peftReaders: Readonly<Record<string, PeftReader>> = Object.assign(
  {},
  ...Object.values(mappings).map(({ read }) => read),
);
