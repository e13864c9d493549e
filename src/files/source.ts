import { type FileHandle, open } from "node:fs/promises";
import { PtuningError, systemCode } from "../core/index.ts";

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
    handle = await open(path, "r");
  } catch (cause) {
    const reason = systemCode(cause) === "ENOENT" ? "no such file" : String(cause);
    throw new PtuningError("FILE_INVALID", `${path}: expected a readable file, got ${reason}.`, { cause });
  }
  const status = await handle.stat();
  if (!status.isFile()) {
    await handle.close();
    throw new PtuningError("FILE_INVALID", `${path}: expected a file, got something else.`);
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
