/** Folders for what a test, a proof or a program writes in between, swept if its process is killed. */
import { mkdirSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sweepTemporaries, temporaryName } from "../dist/files/index.js";

const made = new Set();
process.on("exit", () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/**
 * Makes an empty folder that goes when this process ends; what processes that were killed have left under the same name
 * goes now.
 */
export async function scratch(name, within = tmpdir()) {
  const of = `ptuning-${name}`;
  await sweepTemporaries(within, { of });
  const folder = temporaryName(join(realpathSync(within), of));
  mkdirSync(folder);
  made.add(folder);
  return folder;
}
