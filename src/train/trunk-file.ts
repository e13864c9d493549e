/** States of the trunk in a file. */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { allocate, byteSize, type DType, PtuningError } from "../core/index.ts";
import {
  asUnwritable,
  cacheFolder,
  inCacheOrAside,
  makeFolder,
  sweepTemporaries,
  temporaryName,
} from "../files/index.ts";
import type { TrunkStore } from "./trunk.ts";

/** A file may take this share of what is free on its disk. */
const diskShare = 0.8;

/**
 * A file in our cache folder that no other process sees and that goes with this one.
 * @throws OPTION_INVALID if the disk is too small
 */
export function fileStore(dtype: DType, bytes: number): Promise<TrunkStore> {
  return inCacheOrAside(cacheFolder(), (folder) => fileStoreIn(folder, dtype, bytes));
}

async function fileStoreIn(folder: string, dtype: DType, bytes: number): Promise<TrunkStore> {
  await makeFolder(folder);
  const { bavail, bsize } = await statfs(folder);
  if (bytes > bavail * bsize * diskShare) {
    throw new PtuningError(
      "OPTION_INVALID",
      `trunkCache: expected ${Math.ceil(bytes / 1e6)} MB to be free in ${folder}, got ${Math.floor((bavail * bsize) / 1e6)} MB.`,
      {
        hint: "Use trunkCacheType: float16, a smaller maxLength, another PTUNING_CACHE, or trunkCache: off.",
      },
    );
  }
  await sweepTemporaries(folder, { of: "trunk" });
  const path = temporaryName(join(folder, "trunk"));
  const file = openSync(path, "wx+");
  // Unlinked while it is open, so that not even a killed process leaves it behind; Windows removes it at the end.
  const remove = (): boolean => {
    try {
      unlinkSync(path);
      return true;
    } catch {
      return false;
    }
  };
  const removed = remove();
  const size = byteSize(dtype);
  return {
    write(start, elements) {
      try {
        whole(elements.byteLength, (done, left) =>
          writeSync(file, elements, done, left, start * size + done),
        );
      } catch (cause) {
        throw asUnwritable(path, cause);
      }
    },
    read(start, count) {
      const elements = allocate(dtype, count);
      whole(elements.byteLength, (done, left) => readSync(file, elements, done, left, start * size + done));
      return elements;
    },
    close() {
      closeSync(file);
      if (!removed) remove();
    },
  };
}

/** Systems read and write less than they are asked to where it is much, or the disk nearly full: the rest comes next. */
function whole(bytes: number, transfer: (done: number, left: number) => number): void {
  for (let done = 0; done < bytes; ) {
    const count = transfer(done, bytes - done);
    if (count === 0) throw new Error(`expected ${bytes - done} more bytes of the trunk's file, got none`);
    done += count;
  }
}
