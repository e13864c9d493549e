import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { PtuningError, systemCode } from "../core/index.ts";
import { lockFile } from "./lock.ts";
import { asUnwritable, makeFolder } from "./refusals.ts";
import { isTemporaryName } from "./temporary.ts";

/** What systems put into folders that are only looked at. */
const droppings: ReadonlySet<string> = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]);

/** What an output folder is to be for. */
export interface OutputFolder {
  /** For the message: `a run`. */
  readonly what: string;
  /** Names that may be there although nothing was begun, such as the lock of a process that was killed. */
  readonly traces: readonly string[];
  /** Whether the folder holds what this program made. */
  isOurs(): Promise<boolean>;
}

/**
 * Refuses a folder that holds anything but what this program made there: output replaces what is at its place, and
 * that may be the user's.
 * @returns whether it holds what this program made; else it is empty, or not there
 * @throws OUTPUT_EXISTS
 */
export async function expectOwnFolder(
  folder: string,
  { what, traces, isOurs }: OutputFolder,
): Promise<boolean> {
  const status = await stat(folder).catch(() => undefined);
  if (status?.isDirectory() === false) throw refusal(folder, what, "a file");
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemCode(error) === "ENOENT") return [];
    throw asUnwritable(folder, error);
  });
  const passing = new Set([...droppings, ...traces]);
  const others = names.filter((name) => !passing.has(name) && !isTemporaryName(name));
  if (others.length === 0) return false;
  if (await isOurs()) return true;
  const shown = others.sort().slice(0, 3).join(", ");
  const rest = others.length > 3 ? ` and ${others.length - 3} more` : "";
  throw refusal(folder, what, `other files (${shown}${rest})`);
}

/** How a folder is taken. */
export interface FolderHold {
  /** For messages: `run folder`. */
  readonly what: string;
  /** Name of its lock file. */
  readonly lock: string;
  /** Refuses what is there, before anything is made and once more when nobody else can begin something there. */
  expect?(): Promise<unknown>;
}

/**
 * Makes a folder, takes it for this process and opens what it holds; where that fails it is given free.
 * @param open is told what gives the folder free, for what it opens to keep
 * @throws what `expect` and `open` throw; LOCKED if another process has it; OUTPUT_UNWRITABLE, STORAGE_FULL
 */
export async function holdFolder<T>(
  folder: string,
  { what, lock, expect }: FolderHold,
  open: (release: () => Promise<void>) => Promise<T>,
): Promise<T> {
  await expect?.();
  await makeFolder(folder);
  const release = await lockFile(join(folder, lock), { what: `${what} ${folder}` });
  try {
    await expect?.();
    return await open(release);
  } catch (error) {
    await release();
    throw error;
  }
}

function refusal(folder: string, what: string, got: string): PtuningError {
  return new PtuningError("OUTPUT_EXISTS", `${folder}: expected an empty folder or ${what}, got ${got}.`, {
    hint: "Choose another --output. Nothing there was changed.",
  });
}
