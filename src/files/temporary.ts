/** Names of files that are not finished yet, and what becomes of those whose process was killed. */
import { randomBytes } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "../core/index.ts";
import { livenessOfTag, ownTag, tagPattern } from "./owner.ts";

/** `tmp` is not finished; `new` is whole and about to be put in its place, `old` was there before. */
export type TemporaryKind = "tmp" | "new" | "old";

/** An unfinished file or folder beside its place. */
export interface Temporary {
  readonly path: string;
  /** Name of what it will be, or was. */
  readonly of: string;
  /** The process that made it. */
  readonly tag: string;
  readonly kind: TemporaryKind;
}

const pattern = new RegExp(`^\\.(.+)\\.(${tagPattern})\\.[0-9a-f]{8}\\.(tmp|new|old)$`, "s");
/** As earlier versions named them. */
const earlierPattern = /^\..+\.\d+\.[0-9a-f]{8}\.tmp$/s;

/** Of processes that nobody here can tell of, such as those of another machine, files of this age are given up. */
const strangerMs = 24 * 60 * 60_000;

/** A hidden name beside `path` that tells which process it belongs to. */
export function temporaryName(path: string, kind: TemporaryKind = "tmp"): string {
  return join(dirname(path), `.${basename(path)}.${ownTag()}.${randomBytes(4).toString("hex")}.${kind}`);
}

/** Whether a name is one of ours for what is not finished. */
export function isTemporaryName(name: string): boolean {
  return pattern.test(name) || earlierPattern.test(name);
}

/** What lies in a folder under temporary names, of `of` alone if given; nothing where there is no such folder. */
export async function temporariesIn(folder: string, of?: string): Promise<Temporary[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return [];
    throw error;
  });
  return names.flatMap((name) => {
    const [, what, tag, kind] = pattern.exec(name) ?? [];
    if (what === undefined || (of !== undefined && what !== of)) return [];
    return [{ path: join(folder, name), of: what, tag: tag!, kind: kind as TemporaryKind }];
  });
}

/** Whether nobody works on it any more. */
export async function isAbandoned({ path, tag }: Temporary): Promise<boolean> {
  const liveness = livenessOfTag(tag);
  if (liveness !== "unknown") return liveness === "gone";
  const changed = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Date.now(),
  );
  return Date.now() - changed > strangerMs;
}

/**
 * Removes what killed processes left unfinished in a folder. Files that cannot be removed stay: that is no reason for
 * an error.
 * @param of only of this name
 * @param isSole whether the caller holds a lock that every writer takes: then also what processes of other machines left
 */
export async function sweepTemporaries(
  folder: string,
  { of, isSole = false }: { readonly of?: string; readonly isSole?: boolean } = {},
): Promise<void> {
  for (const entry of await temporariesIn(folder, of).catch(() => [])) {
    if (entry.kind !== "tmp") continue;
    const isLost = (isSole && livenessOfTag(entry.tag) === "unknown") || (await isAbandoned(entry));
    if (isLost) await rm(entry.path, { recursive: true, force: true }).catch(() => {});
  }
}
