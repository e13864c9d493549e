import { type ByteSource, PtuningError } from "../core/index.ts";

/** @throws FILE_INVALID if a range leaves a source */
export function checkRange(source: Pick<ByteSource, "name" | "size">, offset: number, length: number): void {
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

/** Bytes in memory as a source: a view of them, of which reads are copies. */
export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const size = bytes.byteLength;
  return {
    name,
    size,
    async read(offset, length) {
      checkRange({ name, size }, offset, length);
      // `slice` of a Buffer would not copy.
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
  };
}

/** A file of a browser, or what else is a `Blob`, as a source: what is not read is never in memory. */
export function blobSource(name: string, blob: Blob): ByteSource {
  const { size } = blob;
  return {
    name,
    size,
    async read(offset, length) {
      checkRange({ name, size }, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}
