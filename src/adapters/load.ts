import type { Adapter } from "./adapter.ts";
import { adapterFolderFiles } from "./adapter-folder.ts";
import { headOf, type LoadAdapterOptions, parseSavedAdapter, type SavedAdapter } from "./parse.ts";

/**
 * Reads an adapter folder of ours, or one that PEFT saved (a prompt with a head for texts, words or answers).
 * Nothing is downloaded and no other path is opened.
 *
 * @throws ADAPTER_INVALID naming the file and the field; OPTION_INVALID where the folder holds several heads and none
 *   of them is named
 */
export async function loadAdapter(folder: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
  return headOf(await openAdapter(folder, options), options.head);
}

/**
 * Reads an adapter folder as {@link loadAdapter} does, of one task or of several.
 * @throws ADAPTER_INVALID naming the file and the field
 */
export async function openAdapter(
  place: string,
  options: Pick<LoadAdapterOptions, "labels"> = {},
): Promise<SavedAdapter> {
  return parseSavedAdapter(await adapterFolderFiles(place), options);
}
