import { renameSync } from "node:fs";
import { lstat, open, readdir, readlink, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemCode } from "../core/index.ts";
import { livenessOfTag } from "./owner.ts";
import { asUnwritable, makeFolder } from "./refusals.ts";
import { isAbandoned, sweepTemporaries, temporariesIn, temporaryName } from "./temporary.ts";

/** Pauses between attempts of a rename: virus scanners and indexers hold files for a moment (Windows). */
const pausesMs = [10, 20, 40, 80, 160, 320];
const passing: ReadonlySet<string | undefined> = new Set(["EPERM", "EBUSY", "EACCES"]);
/** What else can stand in the way of a folder: one that another process has just put there. */
const contended: ReadonlySet<string | undefined> = new Set([...passing, "ENOTEMPTY", "EEXIST"]);

/** Renames, again after a moment where another program holds the file. */
export async function renameFirmly(from: string, to: string): Promise<void> {
  await firmly(passing, () => rename(from, to));
}

async function firmly<T>(
  reasons: ReadonlySet<string | undefined>,
  attempt: () => T | Promise<T>,
): Promise<T> {
  for (const pause of pausesMs) {
    try {
      return await attempt();
    } catch (error) {
      if (!reasons.has(systemCode(error))) throw error;
      await delay(pause);
    }
  }
  return attempt();
}

/**
 * Replaces a file as a whole: after a crash the path holds the old bytes or the new, never a mixture.
 * @throws STORAGE_FULL if the disk is full, OUTPUT_UNWRITABLE if it cannot be written; the old file is kept
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    const handle = await open(temporary, "wx");
    try {
      await writeFile(handle, content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await renameFirmly(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw asUnwritable(path, cause);
  }
}

/** What of a folder that is replaced is not. */
export interface FolderOptions {
  /** Entries of the old folder that go over into the new one; default none. */
  keeps?(name: string): boolean;
}

/**
 * Fills a new folder through `fill` and puts it in the place of `path` as a whole. No system swaps two folders in one
 * step, so there is a moment between two renames: a process that is killed there leaves the new folder, whole, under a
 * hidden name, and {@link settleFolder} or the next call here puts it in its place.
 * @throws STORAGE_FULL if the disk is full, OUTPUT_UNWRITABLE if it cannot be written; the old folder is kept
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
  options: FolderOptions = {},
): Promise<void> {
  const target = await placeOf(path);
  const parent = dirname(target);
  const unfinished = temporaryName(target);
  const whole = unfinished.replace(/tmp$/, "new");
  try {
    await settleFolder(target);
    await clear(target, options);
    await makeFolder(unfinished);
    await fill(unfinished);
    await syncTree(unfinished);
    await renameFirmly(unfinished, whole);
    await syncFolder(parent);
    const replaced = await swap(target, whole);
    await syncFolder(parent);
    for (const old of replaced) await discard(old, target, options);
  } catch (cause) {
    for (const rest of [unfinished, whole]) await rm(rest, { recursive: true, force: true }).catch(() => {});
    throw asUnwritable(path, cause);
  }
}

/** Puts `whole` in the place of `target`. @returns where what was there lies now */
async function swap(target: string, whole: string): Promise<string[]> {
  const replaced: string[] = [];
  await firmly(contended, () => {
    const old = temporaryName(target, "old");
    let isMoved = true;
    try {
      renameSync(target, old);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
      isMoved = false;
    }
    // Nothing comes between the two renames but the end of the process.
    try {
      renameSync(whole, target);
      if (isMoved) replaced.push(old);
    } catch (error) {
      if (isMoved) {
        try {
          renameSync(old, target);
        } catch {
          replaced.push(old);
        }
      }
      throw error;
    }
  });
  return replaced;
}

/** Removes a folder that was replaced, but for what is kept of it. */
async function discard(old: string, target: string, { keeps }: FolderOptions): Promise<void> {
  if (keeps !== undefined) {
    const there = new Set(await readdir(target));
    for (const name of await readdir(old).catch((): string[] => [])) {
      if (keeps(name) && !there.has(name)) await renameFirmly(join(old, name), join(target, name));
    }
  }
  // Half of a folder must not look like one that could be brought back.
  const rubbish = temporaryName(target);
  await renameFirmly(old, rubbish);
  await rm(rubbish, { recursive: true, force: true });
}

/** How long a folder may be missing because another process is about to replace it. */
const swapMs = 1000;

/**
 * Where a folder lies that {@link writeFolderAtomic} writes: at its place, to which it is brought back first if the
 * process that wrote it was killed between its two renames.
 * @returns the place; the hidden one if the folder cannot be moved, on a read-only disk
 */
export async function settleFolder(path: string): Promise<string> {
  const target = await placeOf(path);
  const deadline = performance.now() + swapMs;
  while (!(await exists(target))) {
    const rests = (await temporariesIn(dirname(target), basename(target)).catch(() => []))
      .filter(({ kind }) => kind !== "tmp")
      .sort((a, b) => (a.kind < b.kind ? -1 : 1));
    const [rest] = rests;
    if (rest === undefined) break;
    const isOver = performance.now() > deadline;
    const liveness = livenessOfTag(rest.tag);
    if (liveness === "gone" || (liveness === "unknown" && isOver)) {
      const moved = await rename(rest.path, target).catch(systemCode);
      if (moved === "EROFS" || moved === "EACCES" || moved === "EPERM") return rest.path;
    } else if (isOver) break;
    else await delay(20);
  }
  return target;
}

/** Removes what killed processes left beside a folder that is in its place. */
async function clear(target: string, options: FolderOptions): Promise<void> {
  const parent = dirname(target);
  if (await exists(target)) {
    for (const rest of await temporariesIn(parent, basename(target))) {
      if (rest.kind !== "tmp" && (await isAbandoned(rest)))
        await discard(rest.path, target, rest.kind === "old" ? options : {});
    }
  }
  await sweepTemporaries(parent, { of: basename(target) });
}

/** The folder that a link stands for, also while that is missing. */
async function placeOf(path: string): Promise<string> {
  const link = await readlink(path).catch(() => undefined);
  return link === undefined ? path : resolve(dirname(path), link);
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Makes everything in a folder durable. */
async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else if (entry.isFile()) await syncFile(path);
  }
  await syncFolder(folder);
}

/** Windows flushes only what is open for writing; a copy of a read-only file is not. */
async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r+").catch(() => open(path, "r"));
  try {
    await handle.sync();
  } catch (error) {
    if (!unsyncable.has(systemCode(error))) throw error;
  } finally {
    await handle.close();
  }
}

const unsyncable: ReadonlySet<string | undefined> = new Set(["EISDIR", "EPERM", "EACCES", "EINVAL"]);

/** Makes a rename or a new entry durable; file systems that cannot sync folders are left alone. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (!unsyncable.has(systemCode(error))) throw error;
  }
}
