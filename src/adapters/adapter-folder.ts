/** Adapter folders: how they are read, and how one takes the place of another. */
import { stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  diskFiles,
  expectOwnFolder,
  type Files,
  makeFolder,
  readJson,
  settleFolder,
  writeFolderAtomic,
} from "../files/index.ts";
import { tokenizerFileNames } from "../text/portable.ts";
import {
  cardFile,
  checkpointConfig,
  checkpointWeights,
  peftConfigFile,
  sidecarFile,
  weightsFile,
} from "./adapter-files.ts";
import type { FolderContents } from "./contents.ts";
import { invalid } from "./sidecar.ts";

const ours: ReadonlySet<string> = new Set([
  ...[weightsFile, peftConfigFile, sidecarFile, cardFile, checkpointWeights, checkpointConfig],
  ...tokenizerFileNames,
]);

/**
 * Writes an adapter folder as a whole, in the place of an earlier one; files in there that are not an adapter's stay.
 * @throws OUTPUT_EXISTS if the folder holds other files and no adapter; STORAGE_FULL
 */
export async function writeAdapterFolder(folder: string, contents: FolderContents): Promise<void> {
  const target = resolve(folder);
  await makeFolder(dirname(target));
  const there = await settleFolder(target);
  await expectOwnFolder(there, { what: "an adapter", traces: [], isOurs: () => holdsAdapter(there) });
  await writeFolderAtomic(
    target,
    async (temporary) => {
      for (const [name, content] of Object.entries(contents)) await writeFile(join(temporary, name), content);
    },
    { keeps: (name) => !ours.has(name) },
  );
}

/**
 * The files of an adapter folder.
 * @throws ADAPTER_INVALID if there is no such folder
 */
export async function adapterFolderFiles(place: string): Promise<Files> {
  const folder = await settleFolder(place);
  const isFolder = await stat(folder).then(
    (status) => status.isDirectory(),
    () => false,
  );
  if (!isFolder) throw invalid(folder, "expected an adapter folder, got no such folder");
  return diskFiles(folder);
}

/** Whether a folder holds an adapter of ours or of PEFT, also a damaged one. */
async function holdsAdapter(folder: string): Promise<boolean> {
  const keys = async (file: string): Promise<object> => {
    const json = await readJson(join(folder, file)).catch(() => undefined);
    return typeof json === "object" && json !== null ? json : {};
  };
  return "formatVersion" in (await keys(sidecarFile)) || "peft_type" in (await keys(peftConfigFile));
}
