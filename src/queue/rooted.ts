import { readdir, realpath } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { messageOf, PtuningError } from "../core/index.ts";
import { makeFolder } from "../files/index.ts";

/**
 * A path as jobs carry it: from the root, which is another folder on each machine. `./data/train.csv`.
 * @throws QUEUE_FAILED if it lies outside
 */
export function toRooted(root: string, path: string): string {
  const inner = relative(root, path);
  if (inner === ".." || inner.startsWith(`..${sep}`) || isAbsolute(inner)) {
    throw refused(`${path}: expected a path under the root ${root}.`);
  }
  return `./${inner.split(sep).join("/")}`;
}

/**
 * The place of a job's path on this machine. It must be there, and neither it nor anything in it may lead out of the
 * root, through links either.
 * @throws DATA_NOT_FOUND if it is missing; QUEUE_FAILED if it leads out
 */
export async function fromRooted(root: string, rooted: string): Promise<string> {
  checkForm(rooted);
  const realRoot = await realpath(root);
  const place = await realpath(join(realRoot, rooted)).catch((cause: unknown) => {
    throw new PtuningError(
      "DATA_NOT_FOUND",
      `${rooted}: expected it under the root ${root}: ${messageOf(cause)}.`,
      {
        hint: "Copy data and backbone to the same place under the root of every worker.",
        cause,
      },
    );
  });
  checkInside(realRoot, place, rooted);
  const entries = await readdir(place, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries.filter((one) => one.isSymbolicLink())) {
    const link = join(entry.parentPath, entry.name);
    const target = await realpath(link).catch(() => link);
    checkInside(realRoot, target, `${rooted}: ${relative(place, link)}`);
  }
  return place;
}

/**
 * The same for a folder that is made where it is missing.
 * @throws QUEUE_FAILED
 */
export async function makeRooted(root: string, rooted: string): Promise<string> {
  checkForm(rooted);
  const realRoot = await realpath(root);
  const wanted = join(realRoot, rooted);
  // Nothing may be made behind a link that leads out.
  let existing = wanted;
  let real = await realpath(existing).catch(() => undefined);
  while (real === undefined) {
    existing = dirname(existing);
    real = await realpath(existing).catch(() => undefined);
  }
  checkInside(realRoot, real, rooted);
  await makeFolder(wanted).catch((cause: unknown) => {
    throw refused(`${rooted}: expected a folder that can be made under the root: ${messageOf(cause)}.`);
  });
  checkInside(realRoot, await realpath(wanted), rooted);
  return wanted;
}

function checkForm(rooted: string): void {
  const parts = rooted.split(/[/\\]/);
  if (parts[0] !== "." || parts.includes("..") || rooted.includes("\0"))
    throw refused(`${JSON.stringify(rooted)}: expected a path of the form ./folder/file.`);
}

function checkInside(realRoot: string, real: string, what: string): void {
  if (real !== realRoot && !real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep))
    throw refused(`${what}: expected it under the root, it leads to another place.`);
}

function refused(message: string): PtuningError {
  return new PtuningError("QUEUE_FAILED", message, {
    hint: "Data and backbone of queued trials lie under --root, the same on every machine; or name them on the hub.",
  });
}
