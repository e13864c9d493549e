import { peftModulesOf, peftRefusalOf } from "../backbones/index.ts";
import type { Tensor } from "../core/index.ts";
import { encodeSafetensors } from "../files/index.ts";
import type { PeftHead } from "../heads/index.ts";
import { listedNames, type PeftMethod, type PeftNames } from "../methods/index.ts";
import type { AdapterFields, BackboneReference } from "./adapter.ts";
import { cardFile, peftConfigFile, sidecarFile, weightsFile, writeAdapterFolder } from "./adapter-files.ts";
import { modelCard } from "./card.ts";
import { checkpointNames, writeCheckpoint } from "./checkpoint.ts";
import { expectPublishable } from "./publishable.ts";

/** Version of the sidecar's layout; readers refuse newer ones. 2: fingerprints of backbones see every byte. */
export const formatVersion = 2;

/** `peft_type` of adapters that PEFT cannot compute: it refuses what it does not know. */
export const ownPeftType = "PTUNING_DEEP_PROMPT";

/** The PEFT release that the reference tools test against. */
const peftVersion = "0.21.2";

/**
 * Writes the adapter folder: `adapter_model.safetensors` and `adapter_config.json` (loadable by PEFT where it
 * computes the same function), `ptuning.json` and a model card. Where the whole backbone was trained, it is instead a
 * checkpoint that transformers loads. The folder appears as a whole.
 * @throws OUTPUT_EXISTS if the folder holds other files and no adapter; STORAGE_FULL; DATA_INVALID if a label or
 *   a setting looks like a secret
 */
export async function saveAdapter(adapter: AdapterFields, folder: string): Promise<void> {
  expectPublishable({ adapter: sidecar(adapter) });
  const { source } = adapter;
  const files: Record<string, string | Uint8Array> = { [cardFile]: modelCard(adapter) };
  if (source === undefined) {
    const { tensors, peftConfig } = interchange(adapter);
    files[weightsFile] = encodeSafetensors(tensors, { format: "pt" });
    files[peftConfigFile] = json(peftConfig);
    files[sidecarFile] = json(sidecar(adapter));
  } else files[sidecarFile] = json({ ...sidecar(adapter), tensors: checkpointNames(adapter, source) });
  await writeAdapterFolder(folder, files, async (temporary) => {
    if (source) await writeCheckpoint(adapter, source, temporary);
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The backbone as files have it: what nobody knows is said, not left blank. */
export function savedReference(backbone: BackboneReference): object {
  const { fingerprint, numLayers, numHeads } = backbone;
  return {
    ...backbone,
    fingerprint: fingerprint || null,
    numLayers: numLayers || null,
    numHeads: numHeads || null,
  };
}

function sidecar({ task, method, frozen = {}, backbone, maxLength, provenance }: AdapterFields): object {
  return {
    formatVersion,
    task: { type: task.type, options: task.options },
    method: { name: method.name, options: method.options },
    frozen: Object.keys(frozen),
    backbone: savedReference(backbone),
    maxLength,
    provenance,
  };
}

/** Tensor names and config for PEFT; our own names and type where it would compute something else. */
function interchange({ task, method, params, frozen = {}, backbone }: AdapterFields): {
  tensors: Record<string, Tensor>;
  peftConfig: object;
} {
  const shared = {
    base_model_name_or_path: backbone.id,
    inference_mode: true,
    revision: null,
    auto_mapping: null,
  };
  const [theirs, head] = [method.peft(backbone), task.head.peft];
  const tensors = { ...params, ...frozen };
  const reasons = [theirs, head].flatMap((part) => ("reason" in part ? [part.reason] : []));
  if ("reason" in theirs || "reason" in head) return ours(tensors, shared, reasons);
  if (theirs.taskTypes?.includes(head.taskType) === false) {
    return ours(tensors, shared, [`PEFT computes ${head.taskType} heads otherwise with ${theirs.peftType}`]);
  }
  const refusal = peftRefusalOf(backbone.modelType, theirs.peftType);
  if (refusal !== undefined) return ours(tensors, shared, [refusal]);
  const names = peftNames(theirs, head, backbone);
  const modules = new Set(Object.keys(tensors).map((name) => moduleOf(names.toPeft(name) ?? name)));
  const lacking = Object.values(peftModulesOf(backbone.modelType, head.taskType)).find(
    (name) => !modules.has(placed(name, theirs)),
  );
  const foreign = Object.keys(frozen).find((name) => names.toPeft(name) === undefined);
  if (lacking !== undefined) reasons.push(`PEFT wants ${lacking}, which lies in this adapter's backbone`);
  if (foreign !== undefined) reasons.push(`PEFT does not save ${foreign}, which the checkpoint lacks`);
  if (reasons.length > 0) return ours(tensors, shared, reasons);
  const peftConfig = {
    ...shared,
    peft_type: theirs.peftType,
    peft_version: peftVersion,
    task_type: head.taskType,
    modules_to_save: head.modulesToSave,
    ...theirs.config(Object.keys(params)),
  };
  const renamed = Object.entries(tensors).map(([name, tensor]) => [names.toPeft(name) ?? name, tensor]);
  return { tensors: Object.fromEntries(renamed), peftConfig };
}

function ours(
  tensors: Record<string, Tensor>,
  shared: object,
  reasons: readonly string[],
): { tensors: Record<string, Tensor>; peftConfig: object } {
  return { tensors, peftConfig: { ...shared, peft_type: ownPeftType, not_for_peft: reasons.join("; ") } };
}

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

const moduleOf = (name: string): string => name.replace(/\.(weight|bias)$/, "");
