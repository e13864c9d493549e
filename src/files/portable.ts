/** What needs no Node of this folder. */
export type { ByteSource, OpenSource } from "../core/index.ts";
export { createSha256, hashText, hex, type Sha256 } from "./digest.ts";
export {
  type Files,
  fileBytes,
  fileJson,
  fileTensors,
  fileTextIfThere,
  memoryFiles,
} from "./files.ts";
export { topLevelKeys } from "./json.ts";
export type { ProgressListener, TransferProgress } from "./progress.ts";
export {
  encodeSafetensors,
  type PendingTensor,
  parseSafetensors,
  readSafetensorsHeader,
  type SafetensorsContents,
  type SafetensorsHeader,
  streamSafetensors,
} from "./safetensors.ts";
export { blobSource, memorySource } from "./source.ts";
export { readTensor, type TensorEntry } from "./tensors.ts";
export { packageVersion, versions } from "./version.ts";
