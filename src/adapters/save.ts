import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Tensor } from "../core/index.ts";
import { encodeSafetensors, writeFolderAtomic } from "../files/index.ts";
import type { AdapterFields } from "./adapter.ts";
import { modelCard } from "./card.ts";

/** Version of the sidecar's layout; readers refuse newer ones. */
export const formatVersion = 1;

export const weightsFile = "adapter_model.safetensors";
export const peftConfigFile = "adapter_config.json";
export const sidecarFile = "ptuning.json";

/** `peft_type` of adapters that PEFT cannot compute: it refuses what it does not know. */
export const ownPeftType = "PTUNING_DEEP_PROMPT";

/** The PEFT release that the reference tools test against. */
const peftVersion = "0.21.2";

/**
 * Writes the adapter folder: `adapter_model.safetensors` and `adapter_config.json` (loadable by PEFT where it
 * computes the same function), `ptuning.json` and a model card. The folder appears as a whole.
 * @throws STORAGE_FULL
 */
export async function saveAdapter(adapter: AdapterFields, folder: string): Promise<void> {
  const target = resolve(folder);
  await mkdir(dirname(target), { recursive: true });
  const { tensors, peftConfig } = interchange(adapter);
  const files: Readonly<Record<string, string | Uint8Array>> = {
    [weightsFile]: encodeSafetensors(tensors, { format: "pt" }),
    [peftConfigFile]: json(peftConfig),
    [sidecarFile]: json(sidecar(adapter)),
    "README.md": modelCard(adapter),
  };
  await writeFolderAtomic(target, async (temporary) => {
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(temporary, name), content, { flush: true });
    }
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function sidecar({ task, method, backbone, maxLength, provenance }: AdapterFields): object {
  return {
    formatVersion,
    task: { type: task.type, options: task.options },
    method: { name: method.name, options: method.options },
    backbone,
    maxLength,
    provenance,
  };
}

/** Tensor names and config for PEFT; our own names and type where it would compute something else. */
function interchange({ task, method, params, backbone }: AdapterFields): {
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
  if ("reason" in theirs || "reason" in head) {
    const reasons = [theirs, head].flatMap((part) => ("reason" in part ? [part.reason] : []));
    return {
      tensors: params,
      peftConfig: { ...shared, peft_type: ownPeftType, not_for_peft: reasons.join("; ") },
    };
  }
  const names: Readonly<Record<string, string>> = { ...theirs.tensors, ...head.tensors };
  const tensors = Object.fromEntries(
    Object.entries(params).map(([name, tensor]) => [names[name] ?? name, tensor]),
  );
  const peftConfig = {
    ...shared,
    peft_type: theirs.peftType,
    peft_version: peftVersion,
    task_type: head.taskType,
    modules_to_save: head.modulesToSave,
    ...theirs.config,
  };
  return { tensors, peftConfig };
}
