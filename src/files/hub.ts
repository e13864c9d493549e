import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { messageOf, PtuningError } from "../core/index.ts";
import { asStorageError } from "./atomic.ts";
import type { Environment } from "./cache.ts";
import { hashFile } from "./hash.ts";
import type { ProgressListener } from "./progress.ts";

/** The hub gets this long for the first byte of an answer. */
const answerTimeoutMs = 5_000;
/** A transfer that brings nothing for this long is given up. */
const idleTimeoutMs = 30_000;

/** Which files of which repository go where. */
export interface HubDownload {
  /** Repository id, such as `sentence-transformers/all-MiniLM-L6-v2`. */
  readonly id: string;
  readonly revision?: string;
  /** Default `model`. */
  readonly type?: "model" | "dataset";
  /** Whether a file of the repository is wanted; in model repositories only those at its top level are asked about. */
  wants(file: string): boolean;
  /** Receives the files; left over parts of an earlier attempt are continued. */
  readonly folder: string;
  readonly env?: Environment;
  readonly onProgress?: ProgressListener;
}

/**
 * Downloads files of one commit of a model or data set repository. `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY`, `HTTP_PROXY`
 * and `NO_PROXY` are honoured.
 * @returns the commit
 * @throws DOWNLOAD_FAILED if the hub does not answer, refuses, or a file arrives damaged
 */
export async function downloadFromHub(download: HubDownload): Promise<string> {
  const env = download.env ?? process.env;
  const hubUrl = (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
  const fail = (reason: string, cause?: unknown): PtuningError =>
    new PtuningError("DOWNLOAD_FAILED", `${download.id} from ${hubUrl}: ${reason}.`, {
      hint: "Check the name and the network. HF_ENDPOINT chooses another hub, HF_TOKEN opens private models.",
      cause,
    });
  try {
    const { datasetInfo, downloadFile, listFiles, modelInfo } = await import("@huggingface/hub");
    const shared = {
      hubUrl,
      fetch: await hubFetch(),
      ...(env.HF_TOKEN && { accessToken: env.HF_TOKEN }),
    };
    const { type = "model" } = download;
    const isDataset = type === "dataset";
    const repo = { type, name: download.id };
    const asked = {
      name: download.id,
      additionalFields: ["sha" as const],
      ...(download.revision && { revision: download.revision }),
      ...shared,
    };
    const { sha } = await (isDataset ? datasetInfo(asked) : modelInfo(asked));
    await startOrContinue(download.folder, sha);
    const files = [];
    for await (const entry of listFiles({ repo, revision: sha, recursive: isDataset, ...shared })) {
      if (entry.type === "file" && download.wants(entry.path)) files.push(entry);
    }
    const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    let doneBytes = 0;
    for (const { path, size, lfs } of files) {
      // A name from the network must not leave the folder.
      if (!isInside(path)) throw fail(`expected plain file names, got "${path}"`);
      const target = join(download.folder, path);
      await mkdir(dirname(target), { recursive: true });
      const part = `${target}.part`;
      const already = await sizeOf(target);
      if (already === size) {
        doneBytes += size;
        continue;
      }
      const start = Math.min((await sizeOf(part)) ?? 0, size);
      const blob = await downloadFile({ repo, path, revision: sha, xet: false, ...shared });
      if (blob === null) throw fail(`${path}: the file is gone`);
      doneBytes += start;
      await pipeline(
        blob.slice(start, size).stream(),
        async function* (chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of withIdleTimeout(chunks)) {
            doneBytes += chunk.byteLength;
            download.onProgress?.({ name: path, doneBytes, totalBytes });
            yield chunk;
          }
        },
        createWriteStream(part, { flags: start > 0 ? "a" : "w" }),
      );
      const got = await sizeOf(part);
      const damaged = got !== size || (lfs && (await hashFile(part)) !== lfs.oid);
      if (damaged) {
        await rm(part, { force: true });
        throw fail(`${path}: expected ${size} bytes of known content, got ${got} others`);
      }
      await rename(part, target);
    }
    return sha;
  } catch (cause) {
    const storage = asStorageError(download.folder, cause);
    if (storage instanceof PtuningError) throw storage;
    throw fail(reasonOf(cause), cause);
  }
}

/** Keeps what an earlier attempt brought only if it was of the same commit. */
async function startOrContinue(folder: string, sha: string): Promise<void> {
  const marker = join(folder, ".commit");
  const previous = await readFile(marker, "utf8").catch(() => undefined);
  if (previous !== sha) await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await writeFile(marker, sha);
}

/** Whether every part of a path is a plain name. */
function isInside(path: string): boolean {
  return path
    .split("/")
    .every((name) => name !== "" && name !== "." && name !== ".." && basename(name) === name);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (status) => status.size,
    () => undefined,
  );
}

/** `fetch` through the proxy that the environment names, giving up on a silent server. */
async function hubFetch(): Promise<typeof fetch> {
  const undici = await import("undici");
  const dispatcher = new undici.EnvHttpProxyAgent({
    connectTimeout: answerTimeoutMs,
    headersTimeout: answerTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });
  const proxied = (input: string | URL | Request, init?: RequestInit): Promise<unknown> =>
    undici.fetch(String(input), { ...(init as object), dispatcher });
  return proxied as typeof fetch;
}

async function* withIdleTimeout(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const idle = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no data for ${idleTimeoutMs / 1000} s`)), idleTimeoutMs);
    });
    const next = await Promise.race([iterator.next(), idle]).finally(() => clearTimeout(timer));
    if (next.done) return;
    yield next.value;
  }
}

/** The innermost reason: undici wraps the interesting error in "fetch failed". */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const text = messageOf(inner) || String((inner as { code?: unknown }).code ?? inner);
  return /timeout/i.test(text) ? `no answer within ${answerTimeoutMs / 1000} s (${text})` : text;
}
