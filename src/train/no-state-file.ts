import { PtuningError } from "../core/index.ts";
import type { ReadableState } from "./state.ts";

/**
 * Where there are no files, in a browser, none is written.
 * @throws OUTPUT_UNWRITABLE always
 */
export async function writeReadableState(path: string, _: ReadableState): Promise<void> {
  throw new PtuningError("OUTPUT_UNWRITABLE", `${path}: expected a place for files, got none.`, {
    hint: "Take the state instead, and its bytes: encodeState(readableState(await event.state())).",
  });
}
