import { type DType, PtuningError } from "../core/index.ts";
import type { TrunkStore } from "./trunk.ts";

/**
 * Where there are no files, in a browser, there is only memory.
 * @throws OPTION_INVALID always
 */
export async function fileStore(_: DType, bytes: number): Promise<TrunkStore> {
  throw new PtuningError(
    "OPTION_INVALID",
    `trunkCache: expected a place for a file of ${Math.ceil(bytes / 1e6)} MB, got none.`,
    { hint: "Use trunkCache: off, trunkCache: memory, or trunkCacheType: float16." },
  );
}
