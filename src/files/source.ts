import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";
import { refusalReason } from "./refusals.ts";

/** A named pipe would hold `open` until somebody writes into it. */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Texts are read as a whole: a tokenizer takes some ten megabytes, and JavaScript has no strings above 512 MiB. */
const maxTextBytes = 256 * 2 ** 20;

/** Random access to bytes: a file on disk, or bytes in memory (a browser's upload). */
export interface ByteSource extends AsyncDisposable {
  /** For messages. */
  readonly name: string;
  readonly size: number;
  /** @throws FILE_INVALID if the range leaves the source */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > source.size) {
    const range = `bytes ${offset} to ${offset + length}`;
    throw new PtuningError(
      "FILE_INVALID",
      `${source.name}: expected ${range}, the file has ${source.size}.`,
      {
        hint: "The file is truncated or damaged: fetch it again.",
      },
    );
  }
}

/** Bytes in memory as a source. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    async read(offset, length) {
      checkRange({ name, size: bytes.byteLength }, offset, length);
      return bytes.subarray(offset, offset + length);
    },
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * Opens a file for random access.
 * @throws FILE_INVALID if it does not exist or is not a file
 */
export async function openFile(path: string): Promise<ByteSource> {
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
 * The bytes of a file.
 * @throws FILE_INVALID if it does not exist, is not a file or is larger than `maxBytes`
 */
export async function readBytes(path: string, maxBytes: number = maxTextBytes): Promise<Uint8Array> {
  const source = await openFile(path);
  try {
    if (source.size > maxBytes) {
      throw new PtuningError(
        "FILE_INVALID",
        `${path}: expected a file of at most ${maxBytes} bytes, got ${source.size}.`,
      );
    }
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
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
  try {
    return await readText(path, maxBytes);
  } catch (error) {
    if (error instanceof PtuningError && systemCode(error.cause) === "ENOENT") return undefined;
    throw error;
  }
}
