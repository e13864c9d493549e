import { type ByteSource, messageOf, PtuningError, withOpen } from "../core/index.ts";
import { parseSafetensors, type SafetensorsContents } from "./safetensors.ts";
import { blobSource, memorySource } from "./source.ts";

/** Texts are read as a whole: a tokenizer takes some ten megabytes, and JavaScript has no strings above 512 MiB. */
export const maxTextBytes: number = 256 * 2 ** 20;

/** The files of one folder, wherever it is: on a disk, in memory, in a browser. */
export interface Files {
  /** For messages: what all of them together are called, such as the folder's path. */
  readonly name: string;
  /** For messages: what a file is called, whether or not it is there. */
  where(file: string): string;
  /** Names of the files that are there. */
  list(): Promise<readonly string[]>;
  /**
   * @returns `undefined` if there is no such file
   * @throws FILE_INVALID if it is there and cannot be read
   */
  find(file: string): Promise<ByteSource | undefined>;
  /**
   * The whole of a file; what it gives is the caller's own.
   * @returns `undefined` if there is no such file
   * @throws FILE_INVALID if it is there and cannot be read, or is larger than `maxBytes`
   */
  read(file: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

/**
 * Files by their names: bytes, what a file input or a fetch gives (`Blob`), or sources.
 * @param name what messages call them together
 */
export function memoryFiles(
  name: string,
  entries: Iterable<readonly [file: string, content: Uint8Array | Blob | ByteSource]>,
): Files {
  const where = (file: string): string => `${name}/${file}`;
  const sources = new Map<string, ByteSource>();
  for (const [file, content] of entries) {
    if (content instanceof Uint8Array) sources.set(file, memorySource(where(file), content));
    else if (content instanceof Blob) sources.set(file, blobSource(where(file), content));
    else sources.set(file, content);
  }
  return {
    name,
    where,
    list: async () => [...sources.keys()],
    find: async (file) => sources.get(file),
    async read(file, maxBytes) {
      const source = sources.get(file);
      return source && wholeOf(source, maxBytes);
    },
  };
}

/**
 * The bytes of a file.
 * @throws FILE_INVALID if it is not there, cannot be read or is larger than `maxBytes`
 */
export async function fileBytes(
  files: Files,
  file: string,
  maxBytes: number = maxTextBytes,
): Promise<Uint8Array> {
  const bytes = await files.read(file, maxBytes);
  if (bytes !== undefined) return bytes;
  throw noFile(files, file);
}

function noFile(files: Files, file: string): PtuningError {
  return new PtuningError(
    "FILE_INVALID",
    `${files.where(file)}: expected a readable file, got no such file.`,
  );
}

/**
 * The whole of a safetensors file.
 * @throws FILE_INVALID as {@link fileBytes}, or if it is damaged
 */
export async function fileTensors(files: Files, file: string): Promise<SafetensorsContents> {
  const source = await files.find(file);
  if (source === undefined) throw noFile(files, file);
  return withOpen(source, parseSafetensors);
}

/**
 * All bytes of a source.
 * @throws FILE_INVALID if it is larger than `maxBytes`
 */
export async function wholeOf(source: ByteSource, maxBytes: number = maxTextBytes): Promise<Uint8Array> {
  if (source.size <= maxBytes) return source.read(0, source.size);
  throw new PtuningError(
    "FILE_INVALID",
    `${source.name}: expected a file of at most ${maxBytes} bytes, got ${source.size}.`,
  );
}

/**
 * The text of a file, UTF-8; `undefined` where there is none.
 * @throws FILE_INVALID if it cannot be read
 */
export async function fileTextIfThere(files: Files, file: string): Promise<string | undefined> {
  const bytes = await files.read(file, maxTextBytes);
  return bytes && new TextDecoder().decode(bytes);
}

/**
 * The JSON of a file.
 * @throws FILE_INVALID if it is missing, no file or not JSON
 */
export async function fileJson(files: Files, file: string): Promise<unknown> {
  const text = await fileTextIfThere(files, file);
  if (text === undefined) {
    throw new PtuningError("FILE_INVALID", `${files.where(file)}: expected a JSON file: no such file.`);
  }
  return parseJson(text, files.where(file));
}

/** @throws FILE_INVALID naming the file */
export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PtuningError("FILE_INVALID", `${where}: expected a JSON file: ${messageOf(cause)}.`, { cause });
  }
}
