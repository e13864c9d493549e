import { PtuningError } from "../core/index.ts";
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
