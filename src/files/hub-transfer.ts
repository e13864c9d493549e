/** One file of the hub: its parts, whatever earlier attempts have left, and whether it is what was announced. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { renameFirmly } from "./atomic.ts";
import { withIdleTimeout } from "./hub-fetch.ts";

/** A file that is wanted, and what the hub says of it. */
export interface HubFile {
  readonly path: string;
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of files in large file storage. */
  readonly sha256?: string;
  /** Git's hash of other files. */
  readonly gitHash?: string;
}

/** How a file is fetched. */
export interface TransferOptions {
  readonly fetch: typeof fetch;
  readonly headers: Readonly<Record<string, string>>;
  /** Told how much of the file is there. */
  onBytes(bytes: number): void;
}

/**
 * Brings a file to `target`. What an earlier attempt brought is gone on with; where the whole turns out to be something
 * else, it is fetched anew, once.
 */
export async function transfer(file: HubFile, target: string, options: TransferOptions): Promise<void> {
  const part = `${target}.part`;
  for (let isAgain = false; ; isAgain = true) {
    const fault = (await receiveRest(file, part, options)) ?? (await faultOf(file, part));
    if (fault === undefined) break;
    await rm(part, { force: true });
    if (isAgain) throw new Error(`${file.path}: expected ${file.size} bytes of known content, got ${fault}`);
  }
  await renameFirmly(part, target);
}

/** Fetches what is missing of a part; nothing if that is nothing. @returns what is wrong with what came */
async function receiveRest(
  file: HubFile,
  part: string,
  { fetch, headers, onBytes }: TransferOptions,
): Promise<string | undefined> {
  const there = await sizeOf(part);
  if (there !== undefined && there > file.size) return `${there} bytes`;
  let start = there ?? 0;
  onBytes(start);
  if (there === file.size) return undefined;
  const range = { range: `bytes=${start}-${file.size - 1}` };
  const response = await fetch(file.url, { headers: { ...headers, ...(start > 0 && range) } });
  if (response.status === 416) return "another length";
  if (!response.ok) throw new Error(`${file.path}: the hub answered with status ${response.status}`);
  // A server that knows no ranges begins at the beginning.
  if (response.status === 200) start = 0;
  const from = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (start > 0 && from !== undefined && Number(from) !== start) {
    await response.body?.cancel();
    return "another part of it";
  }
  const handle = await open(part, start > 0 ? "a" : "w");
  let bytes = start;
  try {
    if (response.body !== null) {
      for await (const chunk of withIdleTimeout(response.body)) {
        bytes += chunk.byteLength;
        // Nobody knows how much more would come.
        if (bytes > file.size) return "more";
        await handle.writeFile(chunk);
        onBytes(bytes);
      }
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (bytes < file.size)
    throw new Error(`${file.path}: the transfer broke off at ${bytes} of ${file.size} bytes`);
  return undefined;
}

/** What is wrong with a whole file. */
async function faultOf({ size, sha256, gitHash }: HubFile, path: string): Promise<string | undefined> {
  if (sha256 !== undefined) {
    const got = await digest("sha256", path);
    return got === sha256 ? undefined : `others, of sha256 ${got}`;
  }
  if (gitHash === undefined) return undefined;
  const got = await digest("sha1", path, `blob ${size}\0`);
  return got === gitHash ? undefined : `others, of git's hash ${got}`;
}

async function digest(algorithm: string, path: string, head = ""): Promise<string> {
  const hash = createHash(algorithm);
  hash.update(head);
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}

/** Nothing where there is no file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (status) => status.size,
    () => undefined,
  );
}
