import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PtuningError, systemCode } from "../core/index.ts";

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`);
}

/**
 * Replaces a file as a whole: after a crash the path holds the old bytes or the new, never a mixture.
 * @throws STORAGE_FULL if the disk is full; the old file is kept
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
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw asStorageError(path, cause);
  }
}

/**
 * Fills a new folder through `fill` and puts it in the place of `path` as a whole.
 * @throws STORAGE_FULL if the disk is full; the old folder is kept
 */
export async function writeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await syncFolder(temporary);
    const old = temporaryName(path);
    const replaced = await rename(path, old).then(
      () => true,
      () => false,
    );
    await rename(temporary, path);
    await syncFolder(dirname(path));
    if (replaced) await rm(old, { recursive: true, force: true });
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw asStorageError(path, cause);
  }
}

/** Makes a rename or a new entry durable; file systems that cannot sync folders are left alone. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    const code = systemCode(error);
    if (code !== "EISDIR" && code !== "EPERM" && code !== "EACCES" && code !== "EINVAL") throw error;
  }
}

/** ENOSPC and EDQUOT as an error that a user can act on; anything else unchanged. */
export function asStorageError(path: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code !== "ENOSPC" && code !== "EDQUOT") return cause;
  return new PtuningError("STORAGE_FULL", `${path}: expected room to write, the disk is full.`, {
    hint: "What was saved before is intact. Free some space and run the command again.",
    cause,
  });
}
