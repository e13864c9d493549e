import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PtuningError } from "../core/index.ts";
import { asUnwritable, isRefusal } from "./refusals.ts";

/** Told when our cache cannot be written and something is kept for this process alone. */
type CacheListener = (refusal: PtuningError) => void;

let listener: CacheListener | undefined;
let isTold = false;
let standIn: Promise<string> | undefined;

/** Sets who is told, once in a process, that our cache cannot be written, so that what belongs there is made each time. */
export function onCacheRefusal(told: CacheListener): void {
  listener = told;
}

/**
 * Makes something in a folder of our cache; where that cannot be written, on a read-only disk say, in a temporary folder
 * that is there until the process ends.
 * @throws OUTPUT_UNWRITABLE, STORAGE_FULL if neither can be written; what `make` throws
 */
export async function inCacheOrAside<T>(folder: string, make: (folder: string) => Promise<T>): Promise<T> {
  try {
    return await make(folder);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (!isTold) listener?.(asUnwritable(folder, error) as PtuningError);
    isTold = true;
    standIn ??= makeStandIn();
    return await make(join(await standIn, folder.replace(/[^\w.-]+/g, "_").slice(-100)));
  }
}

async function makeStandIn(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "ptuning-cache-")).catch((cause: unknown) => {
    throw asUnwritable(tmpdir(), cause);
  });
  process.on("exit", () => {
    try {
      rmSync(folder, { recursive: true, force: true });
    } catch {
      // The system keeps files that are in use (Windows).
    }
  });
  return folder;
}
