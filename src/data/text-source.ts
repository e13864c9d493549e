import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { TextDecoder } from "node:util";
import { createGunzip } from "node:zlib";
import { messageOf, PtuningError, systemCode } from "../core/index.ts";

/** A gzip file may not unpack to more than this: a small file can hold petabytes of zeros. */
const maxUnpackedBytes = 8 * 2 ** 30;

export interface TextSource {
  /** Decoded text in pieces of any length, without byte order mark. */
  readonly chunks: AsyncIterable<string>;
  /** SHA-256 of the bytes on disk; known once all chunks were read. */
  readonly sha256: () => string;
}

/**
 * Opens a text file, `.gz` ones unpacked, as a stream.
 * @param encoding a label of the WHATWG encoding standard; never guessed
 * @throws DATA_NOT_FOUND if there is no such file; DATA_INVALID, with the line, on bytes that are not text
 */
export async function openTextFile(path: string, encoding = "utf-8"): Promise<TextSource> {
  const status = await stat(path).catch((cause: unknown) => {
    const reason = systemCode(cause) === "ENOENT" ? "no such file" : messageOf(cause);
    throw new PtuningError("DATA_NOT_FOUND", `${path}: expected a data file, got ${reason}.`, { cause });
  });
  if (!status.isFile()) throw new PtuningError("DATA_NOT_FOUND", `${path}: expected a file, got a folder.`);
  if (status.size === 0) throw new PtuningError("DATA_INVALID", `${path}: the file is empty.`);
  const decoder = makeDecoder(encoding);
  const hash = createHash("sha256");
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  file.on("data", (bytes) => hash.update(bytes));
  const bytes = path.endsWith(".gz") ? file.pipe(createGunzip()) : file;
  // A pipe does not hand on errors of its source.
  file.on("error", (error) => bytes.destroy(error));
  return { chunks: decode(path, bytes, decoder, encoding), sha256: () => hash.copy().digest("hex") };
}

function makeDecoder(encoding: string): TextDecoder {
  try {
    return new TextDecoder(encoding, { fatal: true });
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
  bytes: AsyncIterable<Buffer>,
  decoder: TextDecoder,
  encoding: string,
): AsyncGenerator<string> {
  let line = 1;
  let total = 0;
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
      total += chunk.length;
      if (total > maxUnpackedBytes) {
        fail(
          `expected at most ${maxUnpackedBytes} bytes of text, the file unpacks to more.`,
          "Split the file.",
        );
      }
      let text: string;
      try {
        text = decoder.decode(chunk, { stream: true });
      } catch (cause) {
        const at = line + countLines(chunk.subarray(0, firstInvalid(chunk, encoding)).toString("latin1"));
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
    fail(`not readable: ${messageOf(cause)}.`, "The file may be damaged.", cause);
  }
}

/** Index of the first byte that does not decode; a bisection, as the decoder does not tell. */
function firstInvalid(bytes: Buffer, encoding: string): number {
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
