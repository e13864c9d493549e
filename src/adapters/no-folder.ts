import { PtuningError } from "../core/index.ts";
import type { Files } from "../files/portable.ts";
import type { FolderContents } from "./contents.ts";

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
export async function adapterFolderFiles(folder: string): Promise<Files> {
  throw new PtuningError("ADAPTER_INVALID", `${folder}: expected a place for folders, got none.`, {
    hint: "Give the adapter, or its files: memoryFiles.",
  });
}
