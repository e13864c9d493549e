/** What a system says of a place that a user named, as errors that a user can act on. */
import { lstat, mkdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { PtuningError, systemCode } from "../core/index.ts";
import { cacheFolder } from "./cache.ts";
import { sweepTemporaries, temporaryName } from "./temporary.ts";

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "a read-only file system",
  ENOENT: "no such file or folder",
  ENOTDIR: "a path that leads through a file",
  EISDIR: "a folder",
  EEXIST: "something else at its place",
  ENOTEMPTY: "a folder that is not empty",
  ENAMETOOLONG: "a name that is too long",
  ELOOP: "links that lead in a circle",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  EBUSY: "a place that is in use",
  ETXTBSY: "a place that is in use",
  EIO: "an error of the disk",
  ENXIO: "a device that is not there",
  ENODEV: "a device that is not there",
  ESTALE: "a file that a server has lost",
  EFBIG: "a file that is too large",
  EXDEV: "another file system",
  EINVAL: "a name or an operation that the file system does not know",
  ENOTSUP: "an operation that the file system does not know",
  EOPNOTSUPP: "an operation that the file system does not know",
  // Of Node: a name with a NUL in it.
  ERR_INVALID_ARG_VALUE: "a name that no file can have",
};
const full: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** Calls that only look or read; all others change something. */
const readingCalls: ReadonlySet<string> = new Set([
  ...[
    "open",
    "read",
    "stat",
    "lstat",
    "fstat",
    "statfs",
    "access",
    "scandir",
    "opendir",
    "realpath",
    "readlink",
  ],
]);

/** Only who writes meets these. */
const writing: ReadonlySet<string> = new Set(["EROFS", "EEXIST", "ETXTBSY"]);

/** Why a system refused a place, in words; nothing for errors of other kinds. */
export function refusalReason(error: unknown): string | undefined {
  const code = systemCode(error);
  return code === undefined || !Object.hasOwn(reasons, code) ? undefined : reasons[code];
}

/** Whether an error is a system's refusal of a place, as it came or as an error of ours. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof PtuningError)
    return error.code === "OUTPUT_UNWRITABLE" || error.code === "STORAGE_FULL";
  return refusalReason(error) !== undefined || full.has(systemCode(error) ?? "");
}

/**
 * A system's refusal to write at `path`: STORAGE_FULL if there is no room, else OUTPUT_UNWRITABLE; any other error
 * unchanged.
 */
export function asUnwritable(path: string, cause: unknown): unknown {
  if (cause instanceof PtuningError) return cause;
  if (full.has(systemCode(cause) ?? "")) {
    return new PtuningError("STORAGE_FULL", `${path}: expected room to write, the disk is full.`, {
      hint: "What was saved before is intact. Free some space and run the command again.",
      cause,
    });
  }
  const reason = refusalReason(cause);
  return reason === undefined ? cause : unwritable(path, reason, cause);
}

function unwritable(path: string, reason: string, cause?: unknown): PtuningError {
  const isCache = resolve(path).startsWith(cacheFolder() + sep);
  const hint = reason.startsWith("too many open files")
    ? "Raise the limit (ulimit -n), or let fewer programs run."
    : isCache
      ? "That is the cache: choose another with PTUNING_CACHE, or make it writable."
      : "Choose another place (--output), or make this one writable.";
  return new PtuningError("OUTPUT_UNWRITABLE", `${path}: expected a place to write, got ${reason}.`, {
    hint,
    cause,
  });
}

/**
 * Any refusal of a system that nobody on its way knew better to name; nothing for errors of other kinds, which are
 * defects.
 */
export function asSystemRefusal(error: unknown): PtuningError | undefined {
  if (!(error instanceof Error) || !("syscall" in error) || typeof error.syscall !== "string")
    return undefined;
  const path = "path" in error && typeof error.path === "string" ? error.path : error.syscall;
  if (full.has(systemCode(error) ?? "")) return asUnwritable(path, error) as PtuningError;
  const reason = refusalReason(error);
  if (reason === undefined) return undefined;
  if (!readingCalls.has(error.syscall) || writing.has(systemCode(error)!))
    return unwritable(path, reason, error);
  const hint = reason.startsWith("too many") ? { hint: "Raise the limit (ulimit -n)." } : {};
  return new PtuningError(
    "FILE_INVALID",
    `${path}: expected a file or folder that can be opened, got ${reason}.`,
    {
      ...hint,
      cause: error,
    },
  );
}

/**
 * Makes a folder and those above it. One step at a time from what is there: where a system answers "no such folder" to
 * making one, in `/proc` say, Node's own recursion does not end.
 * @throws OUTPUT_UNWRITABLE, STORAGE_FULL
 */
export async function makeFolder(path: string): Promise<void> {
  const { missing } = await nearest(path);
  for (const folder of missing) {
    await mkdir(folder).catch(async (cause: unknown) => {
      // Another process may have made it meanwhile.
      const isThere =
        systemCode(cause) === "EEXIST" && (await stat(folder).catch(() => undefined))?.isDirectory();
      if (!isThere) throw asUnwritable(path, cause);
    });
  }
}

const probeName = "probe";

/**
 * Sees that a folder can be written, before any work is done for what it is to hold. It need not be there: nothing is
 * made at its place, and nothing is left.
 * @throws OUTPUT_UNWRITABLE, STORAGE_FULL
 */
export async function expectWritable(path: string): Promise<void> {
  const { existing, missing } = await nearest(path);
  const probe = temporaryName(join(existing, probeName));
  // What was killed while it looked has left its own.
  await sweepTemporaries(existing, { of: probeName });
  try {
    let at = probe;
    if (missing.length > 0) await mkdir(probe);
    for (const folder of missing) {
      at = join(at, basename(folder));
      await mkdir(at);
    }
    await writeFile(missing.length > 0 ? join(at, "file") : probe, "-", { flag: "wx" });
  } catch (cause) {
    throw asUnwritable(path, cause);
  } finally {
    await rm(probe, { recursive: true, force: true }).catch(() => {});
  }
}

/**
 * Sees that there is room for so many bytes at a place, before they are fetched.
 * @param what what needs the room, for the message
 * @throws STORAGE_FULL saying how much is needed and how much is free
 */
export async function expectRoom(path: string, bytes: number, what: string): Promise<void> {
  const { existing } = await nearest(path);
  const { blocks, bavail, bsize } = await statfs(existing);
  // Some file systems do not say.
  if (blocks === 0 || bavail * bsize >= bytes) return;
  const [needed, free] = [bytes, bavail * bsize].map((count) => `${(count / 1e6).toFixed(0)} MB`);
  throw new PtuningError("STORAGE_FULL", `${path}: expected ${needed} of room for ${what}, got ${free}.`, {
    hint: "Free some space, or choose another place: PTUNING_CACHE for backbones.",
  });
}

/** The nearest folder above a path that is there, and what is missing below it, from the top. */
async function nearest(path: string): Promise<{ existing: string; missing: string[] }> {
  const missing: string[] = [];
  let at: string;
  try {
    at = resolve(path);
    for (;;) {
      const status = await stat(at).catch((cause: unknown) => {
        if (systemCode(cause) !== "ENOENT" || dirname(at) === at) throw cause;
      });
      if (status?.isDirectory()) return { existing: at, missing };
      if (status !== undefined)
        throw unwritable(path, at === resolve(path) ? "a file" : `a path through the file ${at}`);
      const entry = await lstat(at).catch(() => undefined);
      if (entry?.isSymbolicLink()) throw unwritable(path, `a link that leads nowhere (${at})`);
      // Another process has made it meanwhile.
      if (entry !== undefined) continue;
      missing.unshift(at);
      at = dirname(at);
    }
  } catch (cause) {
    throw asUnwritable(path, cause);
  }
}
