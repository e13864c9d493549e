import { peftModulesOf } from "../backbones/portable.ts";
import type { Tensor } from "../core/index.ts";
import { encodeSafetensors } from "../files/portable.ts";
import type { AdapterFields, BackboneReference } from "./adapter.ts";
import { cardFile, peftConfigFile, sidecarFile, weightsFile } from "./adapter-files.ts";
import { modelCard } from "./card.ts";
import { checkpointContents, checkpointNames } from "./checkpoint.ts";
import { type FolderContents, writeContents } from "./contents.ts";
import { peftForm } from "./peft/form.ts";
import { moduleOf, ownPeftType, peftNames, placed } from "./peft/names.ts";
import { expectPublishable } from "./publishable.ts";

/**
 * Version of the sidecar's layout; readers refuse newer ones. 2: fingerprints of backbones see every byte. 3: tasks on words
 * say how tags are chosen, tasks with labels have a temperature. 4: heads may also read the untouched backbone (`blend`).
 */
export const formatVersion = 4;

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
  await writeContents(folder, await adapterContents(adapter));
}

/**
 * What the folder of an adapter holds.
 * @throws DATA_INVALID if a label or a setting looks like a secret
 */
export async function adapterContents(adapter: AdapterFields): Promise<FolderContents> {
  expectPublishable({ adapter: sidecar(adapter) });
  const { source } = adapter;
  const card = { [cardFile]: modelCard(adapter) };
  if (source === undefined) {
    const { tensors, peftConfig } = interchange(adapter);
    return {
      ...card,
      [weightsFile]: encodeSafetensors(tensors, { format: "pt" }),
      [peftConfigFile]: json(peftConfig),
      [sidecarFile]: json(sidecar(adapter)),
    };
  }
  return {
    ...(await checkpointContents(adapter, source)),
    ...card,
    [sidecarFile]: json({ ...sidecar(adapter), tensors: checkpointNames(adapter, source) }),
  };
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
  const form = peftForm(method, task.head, backbone);
  const tensors = { ...params, ...frozen };
  if ("reason" in form) return ours(tensors, shared, [form.reason]);
  const { method: theirs, head } = form;
  const names = peftNames(theirs, head, backbone);
  const modules = new Set(Object.keys(tensors).map((name) => moduleOf(names.toPeft(name) ?? name)));
  const lacking = Object.values(peftModulesOf(backbone.modelType, head.taskType)).find(
    (name) => !modules.has(placed(name, theirs)),
  );
  const foreign = Object.keys(frozen).find((name) => names.toPeft(name) === undefined);
  const reasons: string[] = [];
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
