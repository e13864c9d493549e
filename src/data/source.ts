import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { access, constants, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";
import { hashFile, type OpenSource, openFile, refusalReason } from "../files/index.ts";

/** A gzip file may not unpack to more than this, 8 GiB: a small file can hold petabytes of zeros. */
export const defaultMaxUnpackedBytes: number = 8 * 2 ** 30;

export interface SourceOptions {
  /** A label of the WHATWG encoding standard; never guessed. Default `utf-8`. */
  readonly encoding?: string;
  /** Default {@link defaultMaxUnpackedBytes}. */
  readonly maxUnpackedBytes?: number;
  /** Bytes that are no text become NUL characters instead of an error: readers leave out the records that hold any. */
  readonly tolerant?: boolean;
}

export interface TextSource {
  /** Decoded text in pieces of any length, without byte order mark. */
  readonly chunks: AsyncIterable<string>;
  /** SHA-256 of the bytes on disk; known once all chunks were read. */
  readonly sha256: () => string;
}

/** @throws DATA_NOT_FOUND if there is no such file; DATA_INVALID if it is empty */
async function checkFile(path: string): Promise<void> {
  const fail = (cause: unknown): never => {
    const reason =
      systemCode(cause) === "ENOENT" ? "no such file" : (refusalReason(cause) ?? messageOf(cause));
    // What earlier versions wrote for folders that only look like tokens.
    const wasReplaced = path.includes("[redacted]");
    throw new PtuningError("DATA_NOT_FOUND", `${path}: expected a data file, got ${reason}.`, {
      ...(wasReplaced && {
        hint: "An earlier version took a part of this path for a secret: write the path back into the configuration.",
      }),
      cause,
    });
  };
  const status = await stat(path).catch(fail);
  if (!status.isFile()) throw new PtuningError("DATA_NOT_FOUND", `${path}: expected a file, got a folder.`);
  await access(path, constants.R_OK).catch(fail);
  if (status.size === 0) throw new PtuningError("DATA_INVALID", `${path}: the file is empty.`);
}

/** The names in a folder. @throws DATA_NOT_FOUND if it cannot be read */
export async function readFolder(path: string): Promise<string[]> {
  return readdir(path).catch((cause: unknown) => {
    const reason = refusalReason(cause) ?? messageOf(cause);
    throw new PtuningError("DATA_NOT_FOUND", `${path}: expected a folder with data files, got ${reason}.`, {
      cause,
    });
  });
}

/**
 * Opens a text file, gzipped ones unpacked, as a stream.
 * @throws DATA_NOT_FOUND if there is no such file; DATA_INVALID, with the line, on bytes that are not text
 */
export async function openTextFile(path: string, options: SourceOptions = {}): Promise<TextSource> {
  const { encoding = "utf-8", tolerant = false } = options;
  await checkFile(path);
  const hash = createHash("sha256");
  const bytes = bytesOf(path, options, (chunk) => hash.update(chunk));
  return {
    chunks: textOf(path, bytes, encoding, tolerant),
    sha256: () => hash.copy().digest("hex"),
  };
}

/**
 * The text of bytes that are no file.
 * @param name for messages
 * @throws DATA_INVALID, with the line, on bytes that are not text
 */
export function decodeText(
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  { encoding = "utf-8", tolerant = false }: SourceOptions = {},
): AsyncIterable<string> {
  return textOf(name, bytes, encoding, tolerant);
}

/** The bytes of a file, unpacked and bounded. It is open only while they are taken. */
async function* bytesOf(
  path: string,
  { maxUnpackedBytes = defaultMaxUnpackedBytes }: SourceOptions,
  onChunk: (chunk: Buffer) => void = () => {},
): AsyncGenerator<Buffer> {
  const isZipped = await isGzip(path);
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  try {
    if (!isZipped) {
      for await (const chunk of file) {
        onChunk(chunk);
        yield chunk;
      }
      return;
    }
    file.on("data", (chunk) => onChunk(chunk as Buffer));
    const unpacked = file.pipe(createGunzip({ chunkSize: 1 << 18 }));
    // A pipe does not hand on errors of its source.
    file.on("error", (error) => unpacked.destroy(error));
    let total = 0;
    for await (const chunk of unpacked) {
      total += chunk.length;
      if (total > maxUnpackedBytes) {
        throw new PtuningError(
          "DATA_INVALID",
          `${path}: expected a file that unpacks to at most ${maxUnpackedBytes} bytes, got more.`,
          { hint: "Split the file, or raise maxUnpackedBytes if it is as large as it should be." },
        );
      }
      yield chunk;
    }
  } finally {
    file.destroy();
  }
}

async function isGzip(path: string): Promise<boolean> {
  const handle = await open(path);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

/** The first characters of a file, unpacked; what does not decode is replaced. */
export async function startOf(path: string, encoding = "utf-8", length: number = 1 << 16): Promise<string> {
  await checkFile(path);
  const decoder = makeDecoder(encoding, false);
  let text = "";
  try {
    for await (const chunk of bytesOf(path, {})) {
      text += decoder.decode(chunk, { stream: true });
      if (text.length >= length) break;
    }
  } catch {
    // Reading will say what is wrong with the file.
  }
  return text.slice(0, length);
}

/**
 * Opens a file for random access; a gzipped one is unpacked into a temporary file first.
 * @throws DATA_NOT_FOUND, DATA_INVALID
 */
export async function openBytesAt(
  path: string,
  options: SourceOptions = {},
): Promise<OpenSource & { readonly sha256: string }> {
  await checkFile(path);
  const sha256 = await hashFile(path);
  if (!(await isGzip(path))) return Object.assign(await openFile(path), { sha256 });
  const folder = await mkdtemp(join(tmpdir(), "ptuning-data-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    await pipeline(bytesOf(path, options), createWriteStream(join(folder, "unpacked")));
    const source = await openFile(join(folder, "unpacked"));
    return {
      ...source,
      name: path,
      sha256,
      close: async () => {
        await source.close();
        await remove();
      },
    };
  } catch (cause) {
    await remove();
    if (cause instanceof PtuningError) throw cause;
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): PtuningError {
  return new PtuningError("DATA_INVALID", `${path}: not readable: ${messageOf(cause)}.`, {
    hint: "The file may be damaged.",
    cause,
  });
}

function makeDecoder(encoding: string, fatal: boolean): TextDecoder {
  try {
    return new TextDecoder(encoding, { fatal });
  } catch (cause) {
    throw new PtuningError(
      "OPTION_INVALID",
      `encoding: expected a name such as utf-8, windows-1252 or utf-16le, got "${encoding}".`,
      { cause },
    );
  }
}

async function* decode(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  decoder: TextDecoder,
  encoding: string,
): AsyncGenerator<string> {
  let line = 1;
  const fail = (message: string, hint: string, cause?: unknown): never => {
    throw new PtuningError("DATA_INVALID", `${path}: ${message}`, { hint, cause });
  };
  const check = (text: string): string => {
    const nul = text.indexOf("\0");
    if (nul >= 0) {
      const at = line + countLines(text.slice(0, nul));
      fail(
        `line ${at}: expected text, got a NUL byte.`,
        "If the file is UTF-16, say so: encoding: utf-16le.",
      );
    }
    line += countLines(text);
    return text;
  };
  try {
    for await (const chunk of bytes) {
      let text: string;
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch (cause) {
        const at =
          line + countLines(Buffer.from(chunk.subarray(0, firstInvalid(chunk, encoding))).toString("latin1"));
        fail(
          `line ${at}: expected ${encoding} text, got other bytes.`,
          "Name the file's encoding, for instance encoding: windows-1252, or save it as UTF-8.",
          cause,
        );
      }
      if (text! !== "") yield check(text!);
    }
    const rest = decoder.decode();
    if (rest !== "") yield check(rest);
  } catch (cause) {
    if (cause instanceof PtuningError) throw cause;
    throw unreadable(path, cause);
  }
}

function textOf(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  encoding: string,
  tolerant: boolean,
): AsyncGenerator<string> {
  const decoder = makeDecoder(encoding, true);
  return tolerant ? decodeTolerantly(path, bytes, encoding) : decode(path, bytes, decoder, encoding);
}

/** Longer lines are cut anyway. */
const mostLineBytes = 8 * 2 ** 20;
const newline = 0x0a;

/**
 * Decodes what can be decoded; in the place of each other byte stands a NUL character. In UTF-8 lines are decoded one by
 * one where a stretch holds such bytes, so that a U+FFFD that the file itself has is text like any other.
 */
async function* decodeTolerantly(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  encoding: string,
): AsyncGenerator<string> {
  const marked = (text: string): string => text.replaceAll("\ufffd", "\0");
  const [loose, strict] = [makeDecoder(encoding, false), makeDecoder(encoding, true)];
  try {
    if (strict.encoding !== "utf-8") {
      for await (const chunk of bytes) yield marked(loose.decode(chunk, { stream: true }));
      yield marked(loose.decode());
      return;
    }
    const [looseLine, strictLine] = [false, true].map(
      (fatal) => new TextDecoder("utf-8", { fatal, ignoreBOM: true }),
    );
    const decodeLine = (line: Buffer): string => {
      try {
        return strictLine!.decode(line);
      } catch {
        return marked(looseLine!.decode(line));
      }
    };
    let [rest, isStart]: [Buffer, boolean] = [Buffer.alloc(0), true];
    function* decoded(whole: Buffer): Generator<string> {
      let from = 0;
      const bom = isStart && whole.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
      isStart = false;
      if (bom) from = 3;
      try {
        yield strictLine!.decode(whole.subarray(from));
      } catch {
        while (from < whole.length) {
          const end = whole.indexOf(newline, from) + 1 || whole.length;
          yield decodeLine(whole.subarray(from, end));
          from = end;
        }
      }
    }
    for await (const chunk of bytes) {
      rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      const end = rest.length > mostLineBytes ? rest.length : rest.lastIndexOf(newline) + 1;
      if (end === 0) continue;
      yield* decoded(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    if (rest.length > 0) yield* decoded(rest);
  } catch (cause) {
    if (cause instanceof PtuningError) throw cause;
    throw unreadable(path, cause);
  }
}

/** Index of the first byte that does not decode; a bisection, as the decoder does not tell. */
function firstInvalid(bytes: Uint8Array, encoding: string): number {
  let [good, bad] = [0, bytes.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(0, middle), { stream: true });
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return good;
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  return lines;
}
