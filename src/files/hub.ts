import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hideSecrets, messageOf, PtuningError } from "../core/index.ts";
import type { Environment } from "./cache.ts";
import { answerTimeoutMs, hubFetch } from "./hub-fetch.ts";
import { sizeOf, transfer } from "./hub-transfer.ts";
import type { ProgressListener } from "./progress.ts";
import { asUnwritable, expectRoom, makeFolder } from "./refusals.ts";
import { sweepTemporaries } from "./temporary.ts";

/** Files of a repository that are looked at; a listing without an end is given up. */
const mostFiles = 1_000_000;

/** Which files of which repository go where. */
export interface HubDownload {
  /** Repository id, such as `sentence-transformers/all-MiniLM-L6-v2`. */
  readonly id: string;
  readonly revision?: string;
  /** Default `model`. */
  readonly type?: "model" | "dataset";
  /** Whether a file of the repository is wanted; in model repositories only those at its top level are asked about. */
  wants(file: string): boolean;
  /** Of all files that are wanted, those that are fetched; default all. */
  choose?(files: readonly string[]): readonly string[];
  /** Receives the files; left over parts of an earlier attempt are continued. */
  readonly folder: string;
  readonly env?: Environment;
  readonly onProgress?: ProgressListener;
  /** Ends the transfer; what arrived is kept. */
  readonly signal?: AbortSignal;
}

/**
 * Downloads files of one commit of a model or data set repository. `HF_ENDPOINT`, `HF_TOKEN`, `HTTPS_PROXY`, `HTTP_PROXY`
 * and `NO_PROXY` are honoured.
 * @returns the commit
 * @throws DOWNLOAD_FAILED if the hub does not answer, refuses, or a file arrives damaged
 */
export async function downloadFromHub(download: HubDownload): Promise<string> {
  const env = download.env ?? process.env;
  const hubUrl = hubAddress(env);
  const fail = (reason: string, cause?: unknown): PtuningError =>
    new PtuningError("DOWNLOAD_FAILED", `${download.id} from ${shownAddress(hubUrl)}: ${reason}.`, {
      hint: "Check the name and the network. HF_ENDPOINT chooses another hub, HF_TOKEN opens private models.",
      cause,
    });
  try {
    const { datasetInfo, fileDownloadInfo, listFiles, modelInfo } = await import("@huggingface/hub");
    const shared = {
      hubUrl,
      fetch: await hubFetch(download.signal),
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
    const wanted = [];
    let listed = 0;
    for await (const entry of listFiles({ repo, revision: sha, recursive: isDataset, ...shared })) {
      if (++listed > mostFiles) throw fail(`expected at most ${mostFiles} files, got more`);
      if (entry.type === "file" && download.wants(entry.path)) wanted.push(entry);
    }
    const names = wanted.map(({ path }) => path);
    const chosen = new Set(download.choose?.(names) ?? names);
    const files = wanted.filter(({ path }) => chosen.has(path));
    const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
    await expectRoom(download.folder, totalBytes - (await bytesIn(download.folder)), download.id);
    const base = `${hubUrl}/${isDataset ? "datasets/" : ""}${download.id}/resolve/${encodeURIComponent(sha)}`;
    let doneBytes = 0;
    for (const { path, size, lfs, oid } of files) {
      // A name from the network must not leave the folder.
      if (!isInside(path)) throw fail(`expected plain file names, got "${path}"`);
      const target = join(download.folder, path);
      await makeFolder(dirname(target));
      if (size === 0) await writeFile(target, "");
      else if ((await sizeOf(target)) !== size) {
        const info = await fileDownloadInfo({ repo, path, revision: sha, ...shared });
        if (info === null) throw fail(`${path}: the file is gone`);
        if (info.size !== size)
          throw fail(`${path}: expected ${size} bytes, as it was announced, got ${info.size}`);
        // Git's hash of what is no pointer to a large file; mirrors that make tags of their own do not have it.
        const isGitHash = /^[0-9a-f]{40}$/.test(oid ?? "") && unquoted(info.etag) === oid;
        const url = `${base}/${path.split("/").map(encodeURIComponent).join("/")}`;
        const known = lfs ? { sha256: lfs.oid } : isGitHash && oid ? { gitHash: oid } : {};
        const before = doneBytes;
        await transfer({ path, url, size, ...known }, target, {
          fetch: shared.fetch,
          headers: env.HF_TOKEN ? { authorization: `Bearer ${env.HF_TOKEN}` } : {},
          onBytes: (bytes) => download.onProgress?.({ name: path, doneBytes: before + bytes, totalBytes }),
        });
      }
      doneBytes += size;
    }
    return sha;
  } catch (cause) {
    if (download.signal?.aborted) throw cause;
    const storage = asUnwritable(download.folder, cause);
    if (storage instanceof PtuningError) throw storage;
    throw fail(reasonOf(cause), cause);
  }
}

function hubAddress(env: Environment): string {
  return (env.HF_ENDPOINT || "https://huggingface.co").replace(/\/+$/, "");
}

/** An address for people: without user and password. */
function shownAddress(address: string): string {
  return hideSecrets(address.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1***@"));
}

/** What the hub says when it is asked for nothing but an answer. */
export interface HubAnswer {
  /** Without user and password. */
  readonly address: string;
  /** Status of HTTP, or why there is none. */
  readonly status: number | string;
}

/** Asks the hub whether it answers, on the way that downloads take. */
export async function askHub(env: Environment = process.env): Promise<HubAnswer> {
  const hubUrl = hubAddress(env);
  const address = shownAddress(hubUrl);
  try {
    const ask = await hubFetch(AbortSignal.timeout(answerTimeoutMs));
    return { address, status: (await ask(hubUrl, { method: "HEAD" })).status };
  } catch (error) {
    return { address, status: hideSecrets(reasonOf(error)) };
  }
}

/** Keeps what an earlier attempt brought only if it was of the same commit. Callers hold a lock. */
async function startOrContinue(folder: string, sha: string): Promise<void> {
  const marker = join(folder, ".commit");
  const previous = await readFile(marker, "utf8").catch(() => undefined);
  if (previous !== sha) await rm(folder, { recursive: true, force: true });
  await makeFolder(folder);
  await sweepTemporaries(folder, { isSole: true });
  await writeFile(marker, sha);
}

/** What earlier attempts have brought. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await sizeOf(join(entry.parentPath, entry.name))) ?? 0;
  return bytes;
}

/** Whether every part of a path is a plain name. */
function isInside(path: string): boolean {
  return path
    .split("/")
    .every((name) => name !== "" && name !== "." && name !== ".." && basename(name) === name);
}

/** The tag of a file, which the hub makes of its hash. */
function unquoted(etag: string): string {
  return etag.replace(/^(W\/)?"|"$/g, "");
}

/** The innermost reason: undici wraps the interesting error in "fetch failed". */
function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const text = messageOf(inner) || String((inner as { code?: unknown }).code ?? inner);
  return /timeout/i.test(text) ? `no answer within ${answerTimeoutMs / 1000} s (${text})` : text;
}
