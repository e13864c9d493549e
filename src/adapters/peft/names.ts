import { peftModulesOf } from "../../backbones/portable.ts";
import type { BackboneReference } from "../adapter.ts";
import type { PeftHead } from "./heads.ts";
import type { PeftMethod } from "./mapping.ts";

/** Our names of tensors and PEFT's, each from the other; `undefined` for a tensor of something else. */
export interface PeftNames {
  toPeft(ours: string): string | undefined;
  fromPeft(theirs: string): string | undefined;
}

/** Names that stand in a list: ours → PEFT's. */
export function listedNames(names: Readonly<Record<string, string>>): PeftNames {
  const [forth, back] = [new Map(Object.entries(names)), new Map<string, string>()];
  for (const [ours, theirs] of forth) back.set(theirs, ours);
  return { toPeft: (name) => forth.get(name), fromPeft: (name) => back.get(name) };
}

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
