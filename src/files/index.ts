export {
  type FolderOptions,
  renameFirmly,
  settleFolder,
  syncFolder,
  writeFileAtomic,
  writeFolderAtomic,
} from "./atomic.ts";
export { cacheFolder, type Environment, findInHubCache, hubCacheFolder, isOffline } from "./cache.ts";
export {
  diskFiles,
  fileSource,
  openFile,
  readBytes,
  readJson,
  readSafetensors,
  readText,
  readTextIfThere,
} from "./disk.ts";
export { hashFile } from "./hash.ts";
export { type HashOptions, hashFileOnce, rememberHash } from "./hash-cache.ts";
export { askHub, downloadFromHub, type HubAnswer, type HubDownload } from "./hub.ts";
export {
  dropDeadLock,
  isHeldElsewhere,
  type LockOptions,
  type LockWait,
  lockFile,
  onLockWait,
} from "./lock.ts";
export { expectOwnFolder, type FolderHold, holdFolder, type OutputFolder } from "./output-folder.ts";
export * from "./portable.ts";
export {
  asSystemRefusal,
  asUnwritable,
  expectWritable,
  makeFolder,
  refusalReason,
} from "./refusals.ts";
export { inCacheOrAside, onCacheRefusal } from "./stand-in.ts";
export { isTemporaryName, sweepTemporaries, temporariesIn, temporaryName } from "./temporary.ts";
export { readTorchHeader, type TorchHeader } from "./torch.ts";
export { type Wheel, type WheelFetch, type WheelSource, withWheelFiles } from "./wheels.ts";
