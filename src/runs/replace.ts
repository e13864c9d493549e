/**
 * One run in the place of another, so that a process that is killed at any moment leaves either of them. From the
 * moment at which the new configuration lies beside the old one, under a name of its own, the folder holds the new run,
 * which has not begun; the files of the earlier run that are still there count no more.
 */
import { closeSync, mkdirSync, openSync, renameSync } from "node:fs";
import { open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseRunConfig } from "../config/index.ts";
import { systemCode } from "../core/index.ts";
import {
  renameFirmly,
  sweepTemporaries,
  syncFolder,
  temporariesIn,
  temporaryName,
  writeFileAtomic,
} from "../files/index.ts";
import { names } from "./names.ts";

/** What a run writes, the result first: without it nothing looks finished. */
const products = [
  names.result,
  names.state,
  names.events,
  names.adapter,
  names.adapters,
  names.probe,
  names.report,
  names.scalars,
];

/** Begins a run in a locked folder. @param config its text */
export async function beginRun(folder: string, config: string): Promise<void> {
  await sweepTemporaries(folder, { isSole: true });
  await writeFileAtomic(join(folder, names.next), config);
  await finishReplacement(folder);
}

/** Whether a run has been given up for one that has not begun. */
export async function isReplaced(folder: string): Promise<boolean> {
  return exists(join(folder, names.next));
}

/** Takes away what an earlier run has left, if the folder, which is locked, is to hold a new one. */
export async function finishReplacement(folder: string): Promise<void> {
  if (!(await isReplaced(folder))) return;
  // Renamed first, at once: deleting takes a while.
  const rubbish = temporaryName(join(folder, "run"));
  mkdirSync(rubbish);
  // An adapter that was about to be put in its place is one of the earlier run, too.
  const folders: readonly string[] = [names.adapter, names.adapters, names.probe];
  const hidden = (await temporariesIn(folder)).flatMap(({ of, kind, path }) =>
    kind !== "tmp" && folders.includes(of) ? [path] : [],
  );
  for (const path of hidden) await rm(path, { recursive: true, force: true });
  for (const name of products) await moveAway(join(folder, name), join(rubbish, name));
  // An empty log beside a configuration is the mark of a run; a configuration alone may be anyone's.
  closeSync(openSync(join(folder, names.events), "w"));
  await renameFirmly(join(folder, names.next), join(folder, names.config));
  await syncFolder(folder);
  await rm(rubbish, { recursive: true, force: true });
}

async function moveAway(from: string, to: string): Promise<void> {
  try {
    renameSync(from, to);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") await renameFirmly(from, to);
  }
}

/**
 * Whether a folder holds a run that this program made, by more than the name of its configuration: what is taken for a
 * run is replaced.
 */
export async function holdsRun(folder: string): Promise<boolean> {
  if (await isRunConfig(join(folder, names.next))) return true;
  if (!(await exists(join(folder, names.config)))) return false;
  const log = await startOf(join(folder, names.events));
  if (log?.split("\n").some(isStartEvent)) return true;
  const hasTraces = log === "" || (await exists(join(folder, names.state)));
  return hasTraces && isRunConfig(join(folder, names.config));
}

/** How much of a log is looked at. */
const logBytes = 1 << 18;

async function startOf(path: string): Promise<string | undefined> {
  const handle = await open(path, "r").catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(logBytes) });
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await handle.close();
  }
}

function isStartEvent(line: string): boolean {
  try {
    const event = JSON.parse(line);
    return event?.type === "start" && "settings" in event;
  } catch {
    return false;
  }
}

async function isRunConfig(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  try {
    return text !== undefined && parseRunConfig({ text, where: path }) !== undefined;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
