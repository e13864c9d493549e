/** Which files an adapter folder consists of, and how one takes the place of another. */
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { expectOwnFolder, makeFolder, readJson, settleFolder, writeFolderAtomic } from "../files/index.ts";
import { tokenizerFileNames } from "../text/index.ts";

export const weightsFile = "adapter_model.safetensors";
export const peftConfigFile = "adapter_config.json";
export const sidecarFile = "ptuning.json";
export const cardFile = "README.md";
/** Of a fine-tuned model. */
export const checkpointWeights = "model.safetensors";
export const checkpointConfig = "config.json";
const ours: ReadonlySet<string> = new Set([
  ...[weightsFile, peftConfigFile, sidecarFile, cardFile, checkpointWeights, checkpointConfig],
  ...tokenizerFileNames,
]);

/**
 * Writes an adapter folder as a whole, in the place of an earlier one; files in there that are not an adapter's stay.
 * @param fill writes what is too large for `files`
 * @throws OUTPUT_EXISTS if the folder holds other files and no adapter; STORAGE_FULL
 */
export async function writeAdapterFolder(
  folder: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  fill: (folder: string) => Promise<void> = async () => {},
): Promise<void> {
  const target = resolve(folder);
  await makeFolder(dirname(target));
  const there = await settleFolder(target);
  await expectOwnFolder(there, { what: "an adapter", traces: [], isOurs: () => holdsAdapter(there) });
  await writeFolderAtomic(
    target,
    async (temporary) => {
      await fill(temporary);
      for (const [name, content] of Object.entries(files)) await writeFile(join(temporary, name), content);
    },
    { keeps: (name) => !ours.has(name) },
  );
}

/** Whether a folder holds an adapter of ours or of PEFT, also a damaged one. */
async function holdsAdapter(folder: string): Promise<boolean> {
  const keys = async (file: string): Promise<object> => {
    const json = await readJson(join(folder, file)).catch(() => undefined);
    return typeof json === "object" && json !== null ? json : {};
  };
  return "formatVersion" in (await keys(sidecarFile)) || "peft_type" in (await keys(peftConfigFile));
}
