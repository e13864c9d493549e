import { readdir, stat } from "node:fs/promises";
import { PtuningError, systemCode } from "../core/index.ts";
import { asUnwritable } from "./refusals.ts";
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

function refusal(folder: string, what: string, got: string): PtuningError {
  return new PtuningError("OUTPUT_EXISTS", `${folder}: expected an empty folder or ${what}, got ${got}.`, {
    hint: "Choose another --output. Nothing there was changed.",
  });
}
