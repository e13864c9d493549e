/** Files on a disk. */
import { constants } from "node:fs";
import { type FileHandle, open, readdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { type ByteSource, messageOf, type OpenSource, PtuningError, systemCode } from "../core/index.ts";
import { type Files, maxTextBytes, parseJson, wholeOf } from "./files.ts";
import { refusalReason } from "./refusals.ts";
import { parseSafetensors, type SafetensorsContents } from "./safetensors.ts";
import { checkRange } from "./source.ts";

/** A named pipe would hold `open` until somebody writes into it. */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file for random access.
 * @throws FILE_INVALID if it does not exist or is not a file
 */
export async function openFile(path: string): Promise<OpenSource> {
  let handle: FileHandle;
  try {
    handle = await open(path, readWithoutWaiting);
  } catch (cause) {
    const reason =
      systemCode(cause) === "ENOENT" ? "no such file" : (refusalReason(cause) ?? messageOf(cause));
    throw new PtuningError("FILE_INVALID", `${path}: expected a readable file, got ${reason}.`, { cause });
  }
  const status = await handle.stat();
  if (!status.isFile()) {
    await handle.close();
    const got = status.isDirectory() ? "a folder" : "a pipe or a device";
    throw new PtuningError("FILE_INVALID", `${path}: expected a file, got ${got}.`);
  }
  const size = status.size;
  return {
    name: path,
    size,
    async read(offset, length) {
      checkRange({ name: path, size }, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
        if (bytesRead === 0) checkRange({ name: path, size: offset + done }, offset, length);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

/**
 * A file as a source that holds nothing open: each read opens it anew. What is made of it may outlive whoever made it.
 * @throws FILE_INVALID if it does not exist or is not a file
 */
export async function fileSource(path: string): Promise<ByteSource> {
  const { size } = await withFile(path, async (file) => file);
  return new FileSource(path, size, await realpath(path));
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly path: string;

  constructor(name: string, size: number, path: string) {
    this.name = name;
    this.size = size;
    this.path = path;
  }

  read(offset: number, length: number): Promise<Uint8Array> {
    return withFile(this.path, (file) => file.read(offset, length));
  }

  async open(): Promise<OpenSource> {
    return { ...(await openFile(this.path)), name: this.name, path: this.path };
  }
}

async function withFile<T>(path: string, use: (file: OpenSource) => Promise<T>): Promise<T> {
  await using file = await openFile(path);
  return await use(file);
}

/** The files of a folder on a disk. */
export function diskFiles(folder: string): Files {
  return {
    name: folder,
    where: (file) => join(folder, file),
    list: () => readdir(folder),
    find: (file) => fileSource(join(folder, file)).catch(absent),
    read: (file, maxBytes) => readBytes(join(folder, file), maxBytes).catch(absent),
  };
}

/** For `catch`: a file that is not there is no error. */
function absent(error: unknown): undefined {
  if (error instanceof PtuningError && systemCode(error.cause) === "ENOENT") return undefined;
  throw error;
}

/**
 * The bytes of a file.
 * @throws FILE_INVALID if it does not exist, is not a file or is larger than `maxBytes`
 */
export async function readBytes(path: string, maxBytes: number = maxTextBytes): Promise<Uint8Array> {
  return withFile(path, (file) => wholeOf(file, maxBytes));
}

/** The text of a file, UTF-8. @throws FILE_INVALID as {@link readBytes} */
export async function readText(path: string, maxBytes?: number): Promise<string> {
  return new TextDecoder().decode(await readBytes(path, maxBytes));
}

/**
 * The text of a file; `undefined` where there is none.
 * @throws FILE_INVALID as {@link readText}
 */
export async function readTextIfThere(path: string, maxBytes?: number): Promise<string | undefined> {
  return readText(path, maxBytes).catch(absent);
}

/**
 * Reads a JSON file.
 * @throws FILE_INVALID if it is missing, no file or not JSON
 */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path).catch((error: unknown) => {
    if (!(error instanceof PtuningError) || systemCode(error.cause) !== "ENOENT") throw error;
    const { cause } = error;
    throw new PtuningError("FILE_INVALID", `${path}: expected a JSON file: no such file.`, { cause });
  });
  return parseJson(text, path);
}

/** Reads a whole safetensors file into memory: adapters and training states, not backbones. */
export async function readSafetensors(path: string): Promise<SafetensorsContents> {
  return withFile(path, parseSafetensors);
}
