/** Training states in files. */
import { openFile, writeFileAtomic } from "../files/index.ts";
import {
  damagedState,
  encodeState,
  parseState,
  type ReadableState,
  readableState,
  type TrainingState,
} from "./state.ts";

/**
 * Writes a training state as one safetensors file, a tensor at a time. The file appears as a whole.
 * @throws STORAGE_FULL if the disk is full; the old file is kept
 */
export function writeReadableState(path: string, state: ReadableState): Promise<void> {
  return writeFileAtomic(path, encodeState(state));
}

/**
 * Writes a training state as one safetensors file, which appears as a whole.
 * @throws STORAGE_FULL if the disk is full; the old file is kept
 */
export function writeState(path: string, state: TrainingState): Promise<void> {
  return writeReadableState(path, readableState(state));
}

/**
 * Reads a training state, of this version or an older one.
 * @throws RUN_INVALID if the file is damaged or of a newer version
 */
export async function readState(path: string): Promise<TrainingState> {
  await using file = await openFile(path).catch((cause: unknown) => {
    throw damagedState(path, "a damaged file", cause);
  });
  return await parseState(file);
}
