import type { Files } from "../files/portable.ts";
import { Adapter } from "./adapter.ts";
import { MultiTaskAdapter } from "./multi-task.ts";
import { parseSavedAdapter, type SavedAdapter } from "./parse.ts";

/** Where an adapter comes from: a folder, its files wherever they are, or the adapter itself, of one task or of several. */
export type AdapterSource = string | Files | SavedAdapter;

/**
 * The adapter of a source, read anew where it is not one itself.
 * @throws ADAPTER_INVALID naming the file and the field
 */
export async function readAdapter(source: AdapterSource): Promise<SavedAdapter> {
  if (source instanceof Adapter || source instanceof MultiTaskAdapter) return source;
  if (typeof source !== "string") return parseSavedAdapter(source);
  // An entry of package.json: what this is depends on where it runs.
  const { adapterFolderFiles } = await import("#adapter-folder");
  return parseSavedAdapter(await adapterFolderFiles(source));
}
