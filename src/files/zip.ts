/** Zip archives, whole or cut into parts that lie one after another. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32 } from "node:zlib";
import type { Entry, ZipFile } from "yauzl";

/** What is taken out of an archive. */
export interface UnzipOptions {
  /** Where a file goes, by its path inside the archive; nothing if it is not wanted. */
  target(path: string): string | undefined;
  /** Wanted files that are larger together are refused: few bytes may unpack to very many. */
  readonly mostBytes: number;
  /** Told how much is unpacked, and how much there is. */
  onBytes?(doneBytes: number, totalBytes: number): void;
  readonly signal?: AbortSignal;
}

/** A file that was taken out. */
export interface UnzippedFile {
  readonly path: string;
  readonly sha256: string;
}

const chunkBytes = 1 << 18;

/**
 * Takes files out of the archive that is cut into `parts`, as streams: neither the archive nor a file is ever whole in
 * memory. Lengths and checksums that it states are checked, names that lead out of it are refused.
 * @throws Error saying what is wrong with it
 */
export async function unzip(
  parts: readonly string[],
  { target, mostBytes, onBytes, signal }: UnzipOptions,
): Promise<UnzippedFile[]> {
  const archive = await openArchive(parts);
  try {
    const wanted: { entry: Entry; path: string }[] = [];
    let totalBytes = 0;
    for await (const entry of archive.eachEntry()) {
      signal?.throwIfAborted();
      const path = entry.fileName.endsWith("/") ? undefined : target(entry.fileName);
      if (path === undefined) continue;
      totalBytes += entry.uncompressedSize;
      if (totalBytes > mostBytes) throw new Error(`expected files of at most ${mostBytes} bytes, got more`);
      wanted.push({ entry, path });
    }
    const files: UnzippedFile[] = [];
    let doneBytes = 0;
    for (const { entry, path } of wanted) {
      const hash = createHash("sha256");
      let crc = 0;
      const checked = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
        for await (const chunk of chunks) {
          hash.update(chunk);
          crc = crc32(chunk, crc);
          doneBytes += chunk.length;
          onBytes?.(doneBytes, totalBytes);
          yield chunk;
        }
      };
      const content = await archive.openReadStreamPromise(entry);
      await pipeline(content, checked, createWriteStream(path, { flush: true }), {
        ...(signal && { signal }),
      });
      if (crc !== entry.crc32)
        throw new Error(`${entry.fileName}: expected checksum ${hex(entry.crc32)}, got ${hex(crc)}`);
      files.push({ path, sha256: hash.digest("hex") });
    }
    return files;
  } finally {
    archive.close();
  }
}

const hex = (crc: number): string => crc.toString(16).padStart(8, "0");

async function openArchive(parts: readonly string[]): Promise<ZipFile> {
  const yauzl = await import("yauzl");
  const sizes = await Promise.all(parts.map(async (path) => (await stat(path)).size));
  class PartsReader extends yauzl.RandomAccessReader {
    override _readStreamForRange(start: number, end: number): Readable {
      return Readable.from(readRange(parts, sizes, start, end), { objectMode: false });
    }
  }
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return yauzl.fromRandomAccessReaderPromise(new PartsReader(), bytes, { autoClose: false });
}

/** The bytes from `start` to before `end` of files that lie one after another. */
async function* readRange(
  paths: readonly string[],
  sizes: readonly number[],
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  let offset = 0;
  for (const [index, path] of paths.entries()) {
    const [from, to] = [Math.max(start - offset, 0), Math.min(end - offset, sizes[index]!)];
    // The end that streams of files are given is part of what they read.
    if (from < to) yield* createReadStream(path, { start: from, end: to - 1, highWaterMark: chunkBytes });
    offset += sizes[index]!;
  }
}
