import { PtuningError } from "../core/index.ts";
import type { FolderContents } from "./contents.ts";
import type { SavedAdapter } from "./parse.ts";

/**
 * Where there are no folders, in a browser, nothing is written.
 * @throws OUTPUT_UNWRITABLE always
 */
export async function writeAdapterFolder(folder: string, _: FolderContents): Promise<void> {
  throw new PtuningError("OUTPUT_UNWRITABLE", `${folder}: expected a place for folders, got none.`, {
    hint: "Take the files of the adapter instead: await adapter.files().",
  });
}

/**
 * Nor is anything read.
 * @throws ADAPTER_INVALID always
 */
export async function readAdapterFolder(folder: string): Promise<SavedAdapter> {
  throw new PtuningError("ADAPTER_INVALID", `${folder}: expected a place for folders, got none.`, {
    hint: "Give the adapter, or its files: memoryFiles.",
  });
}
