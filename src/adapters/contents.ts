/** What a folder holds: by the names of its files their texts, their bytes, or these in pieces. */
export type FolderContents = Readonly<Record<string, string | Uint8Array | AsyncIterable<Uint8Array>>>;

/**
 * Writes an adapter folder.
 * @throws OUTPUT_UNWRITABLE also where there are no folders
 */
export async function writeContents(folder: string, contents: FolderContents): Promise<void> {
  // An entry of package.json: what this is depends on where it runs.
  const { writeAdapterFolder } = await import("#adapter-folder");
  await writeAdapterFolder(folder, contents);
}

/** The files of a folder in memory. */
export async function collectContents(contents: FolderContents): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const [name, content] of Object.entries(contents)) files.set(name, await collect(content));
  return files;
}

async function collect(content: FolderContents[string]): Promise<Uint8Array> {
  if (typeof content === "string") return new TextEncoder().encode(content);
  if (content instanceof Uint8Array) return content;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of content) pieces.push(piece as Uint8Array<ArrayBuffer>);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
