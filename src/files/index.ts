export {
  type FolderOptions,
  renameFirmly,
  settleFolder,
  syncFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from "./atomic.ts";
export { cacheFolder, type Environment, findInHubCache, hubCacheFolder, isOffline } from "./cache.ts";
export { hashFile, hashText } from "./hash.ts";
export { type HashOptions, hashFileOnce, rememberHash } from "./hash-cache.ts";
export { askHub, downloadFromHub, type HubAnswer, type HubDownload } from "./hub.ts";
export { readJson, topLevelKeys } from "./json.ts";
export {
  dropDeadLock,
  isHeldElsewhere,
  type LockOptions,
  type LockWait,
  lockFile,
  onLockWait,
} from "./lock.ts";
export { expectOwnFolder, type FolderHold, holdFolder, type OutputFolder } from "./output-folder.ts";
export type { ProgressListener, TransferProgress } from "./progress.ts";
export {
  asSystemRefusal,
  asUnwritable,
  expectWritable,
  makeFolder,
  refusalReason,
} from "./refusals.ts";
export {
  encodeSafetensors,
  type PendingTensor,
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsHeader,
  streamSafetensors,
} from "./safetensors.ts";
export { type ByteSource, memorySource, openFile, readBytes, readText, readTextIfThere } from "./source.ts";
export { inCacheOrAside, onCacheRefusal } from "./stand-in.ts";
export { isTemporaryName, sweepTemporaries, temporariesIn, temporaryName } from "./temporary.ts";
export { readTensor, type TensorEntry } from "./tensors.ts";
export { readTorchHeader, type TorchHeader } from "./torch.ts";
export { packageVersion } from "./version.ts";
export { type Wheel, type WheelFetch, type WheelSource, withWheelFiles } from "./wheels.ts";
