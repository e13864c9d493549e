import { mkdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "./atomic.ts";
import { cacheFolder, type Environment } from "./cache.ts";
import { hashText } from "./digest.ts";
import { hashFile } from "./hash.ts";

/** What changes when a file does. Of the times nobody can set the second back. */
interface FileState {
  readonly path: string;
  readonly size: string;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly inode: string;
}

/** How a hash is come by. */
export interface HashOptions {
  readonly env?: Environment;
  readonly signal?: AbortSignal;
}

/** Two changes within this time may bear the same time stamp on some file systems. */
const stampMs = 2000;

/**
 * SHA-256 of a file as lower-case hex; a file that has not changed since is not read again, in no later process either:
 * hashes are kept in our cache by path, size, times and inode. Without a cache that can be written it is read each time.
 */
export async function hashFileOnce(path: string, { env, signal }: HashOptions = {}): Promise<string> {
  const real = await realpath(path);
  const before = await stateOf(real);
  const known = await readKnown(before, env);
  if (known !== undefined) return known;
  const sha256 = await hashFile(real, signal);
  const after = await stateOf(real);
  // A change from now on must show in the state.
  const isSettled = Date.now() - Math.max(millis(after.mtimeNs), millis(after.ctimeNs)) > stampMs;
  if (isSettled && isSame(before, after)) await keep(after, sha256, env);
  return sha256;
}

/** Keeps the hash of a file that was just made, checked, and is written by nobody any more. */
export async function rememberHash(path: string, sha256: string, env?: Environment): Promise<void> {
  await keep(await stateOf(await realpath(path)), sha256, env);
}

async function stateOf(path: string): Promise<FileState> {
  const { size, mtimeNs, ctimeNs, ino } = await stat(path, { bigint: true });
  return { path, size: `${size}`, mtimeNs: `${mtimeNs}`, ctimeNs: `${ctimeNs}`, inode: `${ino}` };
}

function millis(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1_000_000n);
}

function isSame(one: FileState, other: FileState): boolean {
  return (Object.keys(one) as (keyof FileState)[]).every((key) => one[key] === other[key]);
}

/** One entry per path: what is known of a file that was replaced goes with it. */
function entryPath(path: string, env: Environment | undefined): string {
  return join(cacheFolder(env), "hashes", `${hashText(path).slice(0, 32)}.json`);
}

async function readKnown(state: FileState, env: Environment | undefined): Promise<string | undefined> {
  try {
    const entry = JSON.parse(await readFile(entryPath(state.path, env), "utf8"));
    return isSame(state, entry) && /^[0-9a-f]{64}$/.test(entry.sha256) ? entry.sha256 : undefined;
  } catch {
    return undefined;
  }
}

/** Where it cannot be kept it is computed again. */
async function keep(state: FileState, sha256: string, env: Environment | undefined): Promise<void> {
  const path = entryPath(state.path, env);
  try {
    await mkdir(join(cacheFolder(env), "hashes"), { recursive: true });
    await writeFileAtomic(path, `${JSON.stringify({ ...state, sha256 })}\n`);
  } catch {}
}
