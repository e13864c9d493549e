import { peftModulesOf } from "../backbones/portable.ts";
import type { PeftHead } from "../heads/index.ts";
import { listedNames, type PeftMethod, type PeftNames } from "../methods/index.ts";
import type { BackboneReference } from "./adapter.ts";

/** `peft_type` of adapters that PEFT cannot compute: it refuses what it does not know. */
export const ownPeftType = "PTUNING_DEEP_PROMPT";

/** Our tensor names and PEFT's, from what the parts and the architecture say of themselves. */
export function peftNames(
  method: Pick<PeftMethod, "names" | "modulePrefix">,
  head: PeftHead,
  { modelType }: Pick<BackboneReference, "modelType">,
): PeftNames {
  const modules = peftModulesOf(modelType, head.taskType);
  const rename = (name: string): string => {
    const module = moduleOf(name);
    return placed(`${modules[module] ?? module}${name.slice(module.length)}`, method);
  };
  const names: Record<string, string> = {};
  for (const [name, theirs] of Object.entries(head.tensors)) names[name] = rename(theirs);
  const moved = Object.keys(modules).filter((module) => !module.startsWith(peftPrefix));
  for (const name of moved.flatMap((module) => [`${module}.weight`, `${module}.bias`])) {
    names[name] = rename(name);
  }
  const others = listedNames(names);
  return {
    toPeft: (name) => method.names.toPeft(name) ?? others.toPeft(name),
    fromPeft: (name) => method.names.fromPeft(name) ?? others.fromPeft(name),
  };
}

/** A module's name as PEFT has it beside a method. */
export function placed(
  name: string,
  { modulePrefix = peftPrefix }: Pick<PeftMethod, "modulePrefix">,
): string {
  return name.startsWith(peftPrefix) ? `${modulePrefix}${name.slice(peftPrefix.length)}` : name;
}

/** What PEFT's names of modules outside the method start with. */
const peftPrefix = "base_model.";

/** The module of a tensor's name. */
export const moduleOf = (name: string): string => name.replace(/\.(weight|bias)$/, "");
