/**
 * Zip archives whose entries are stored as they are, so that their bytes can be used where they lie. What would have to
 * be unpacked or decrypted is refused, and so is what two readers could read in two ways.
 */
import { Readable } from "node:stream";
import type { Entry, LocalFileHeader, ZipFile } from "yauzl";
import { type ByteSource, messageOf, PtuningError, shown } from "../core/index.ts";

/** Where the bytes of one entry lie in the file. */
export interface StoredEntry {
  readonly offset: number;
  readonly byteLength: number;
}

/** A checkpoint has an entry per tensor and a few more. */
const mostEntries = 1_000_000;

/** First bytes of an entry; an archive without entries is nothing but the record at its end. */
const starts = [0x04034b50, 0x06054b50];

/** What stands behind the directory: the record at the end, or the one of zip64. */
const ends = [0x06054b50, 0x06064b50];

/** Flags of an entry (APPNOTE.TXT, section 4.4.4): encrypted, patched, strongly encrypted, header masked; sizes follow. */
const [foreignFlags, sizesFollow] = [0x2061, 0x8];

/** A header with its name takes a hundred bytes. */
const aheadBytes = 4096;

/** What stands in place of a size that a zip64 field gives. */
const inZip64 = 0xffffffff;

type Fail = (message: string) => never;

/** Whether a file begins as a zip archive does. */
export async function isZip(source: ByteSource): Promise<boolean> {
  if (source.size < 4) return false;
  const { buffer, byteOffset } = await source.read(0, 4);
  return starts.includes(new DataView(buffer, byteOffset).getUint32(0, true));
}

/**
 * The entries of an archive by their names, without folders.
 * @throws FILE_INVALID naming the file and the entry: damaged or truncated records, several parts, compressed or encrypted
 *   entries, names that occur twice or lead out of a folder, entries that overlap
 */
export async function storedEntries(source: ByteSource): Promise<ReadonlyMap<string, StoredEntry>> {
  const fail: Fail = (message) => {
    throw new PtuningError("FILE_INVALID", `${source.name}: ${message}`, {
      hint: "The archive is truncated, damaged, or was packed anew: fetch or save it again.",
    });
  };
  try {
    return await readEntries(source, await openArchive(source), fail);
  } catch (error) {
    if (error instanceof PtuningError) throw error;
    return fail(`expected a whole zip archive, got one that does not hold together: ${messageOf(error)}`);
  }
}

async function openArchive(source: ByteSource): Promise<ZipFile> {
  const ahead = readAhead(source);
  const { fromRandomAccessReaderPromise, RandomAccessReader } = await import("yauzl");
  class SourceReader extends RandomAccessReader {
    override _readStreamForRange(start: number, end: number): Readable {
      return Readable.from(
        (async function* () {
          yield await source.read(start, end - start);
        })(),
      );
    }
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ): void {
      ahead(position, length).then(
        (bytes) => {
          buffer.set(bytes, offset);
          callback(null);
        },
        (error: Error) => callback(error),
      );
    }
  }
  return fromRandomAccessReaderPromise(new SourceReader(), source.size, {
    autoClose: false,
    strictFileNames: true,
    // The sizes of encrypted entries differ; they are refused as what they are.
    validateEntrySizes: false,
  });
}

/** Records lie one behind another and are read in bits: a few reads bring them all. */
function readAhead(source: ByteSource): (offset: number, length: number) => Promise<Uint8Array> {
  let start = 0;
  let bytes: Uint8Array = new Uint8Array();
  return async (offset, length) => {
    if (offset < start || offset + length > start + bytes.length) {
      bytes = await source.read(offset, Math.max(length, Math.min(aheadBytes, source.size - offset)));
      start = offset;
    }
    return bytes.subarray(offset - start, offset - start + length);
  };
}

async function readEntries(
  source: ByteSource,
  archive: ZipFile,
  fail: Fail,
): Promise<ReadonlyMap<string, StoredEntry>> {
  if (archive.entryCount > mostEntries)
    fail(`zip archive: expected at most ${mostEntries} entries, got ${archive.entryCount}.`);
  const directory = cursor(archive);
  const listed = new Map<string, Entry>();
  for await (const entry of archive.eachEntry()) {
    const where = `entry ${shown(entry.fileName)}`;
    if (listed.has(entry.fileName)) fail(`${where}: the name occurs twice.`);
    listed.set(entry.fileName, entry);
    checkStored(entry, where, fail);
  }
  const behind = await source.read(cursor(archive), 4);
  if (!ends.includes(new DataView(behind.buffer, behind.byteOffset).getUint32(0, true)))
    fail(`zip archive: expected ${listed.size} entries, got more.`);
  const ordered = [...listed.values()].sort(
    (a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader,
  );
  const entries = new Map<string, StoredEntry>();
  for (const [i, entry] of ordered.entries()) {
    const where = `entry ${shown(entry.fileName)}`;
    const local = await archive.readLocalFileHeaderPromise(entry);
    if (!agree(entry, local))
      fail(`${where}: expected what the directory says, its own header says otherwise.`);
    const [offset, byteLength] = [local.fileDataStart, entry.compressedSize];
    const next = ordered[i + 1]?.relativeOffsetOfLocalHeader ?? directory;
    if (offset + byteLength > next)
      fail(`${where}: expected its end before byte ${next}, where something else begins.`);
    if (!entry.fileName.endsWith("/")) entries.set(entry.fileName, { offset, byteLength });
  }
  return entries;
}

/** Where the directory is read next; the library's types call it a boolean. */
const cursor = (archive: ZipFile): number => Number(archive.readEntryCursor);

function checkStored(entry: Entry, where: string, fail: Fail): void {
  if (entry.generalPurposeBitFlag & foreignFlags) fail(`${where}: expected plain bytes, got encrypted ones.`);
  if (entry.compressionMethod !== 0)
    fail(`${where}: expected stored bytes, got compressed ones (method ${entry.compressionMethod}).`);
  if (entry.uncompressedSize !== entry.compressedSize)
    fail(
      `${where}: expected stored bytes, got ${entry.compressedSize} that stand for ${entry.uncompressedSize}.`,
    );
  const parts = entry.fileName.replace(/\/$/, "").split("/");
  if (entry.fileName.includes("\0") || parts.some((part) => part === "" || part === "." || part === ".."))
    fail(`${where}: expected a plain name, got one that leads elsewhere.`);
}

/** Whether an entry's own header says what the directory says of it. */
function agree(entry: Entry, local: LocalFileHeader): boolean {
  const sizes = [local.compressedSize, local.uncompressedSize];
  return (
    local.compressionMethod === 0 &&
    (local.generalPurposeBitFlag & foreignFlags) === 0 &&
    local.fileName.equals(entry.fileNameRaw) &&
    ((local.generalPurposeBitFlag & sizesFollow) !== 0 ||
      sizes.every((size) => size === entry.compressedSize || size === inZip64))
  );
}
