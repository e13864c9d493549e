import { channel } from "node:diagnostics_channel";
import { type FileHandle, link, open, readdir, readFile, rm, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { PtuningError, systemCode } from "../core/index.ts";
import { type Liveness, livenessOf, ownProcess, type ProcessMark, processPlace } from "./owner.ts";
import { asUnwritable } from "./refusals.ts";
import { isAbandoned, sweepTemporaries, temporariesIn, temporaryName } from "./temporary.ts";

/** What a lock file says. */
interface Holder extends Omit<ProcessMark, "place"> {
  readonly host: string;
  /** Absent in locks of earlier versions. */
  readonly place?: string;
  readonly since: string;
}

/** How a lock is asked for. */
export interface LockOptions {
  /** What the lock guards, for messages: `run folder "runs/a"`. */
  readonly what: string;
  /** How long to wait for another holder; 0 fails at once. */
  readonly timeoutMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
}

/** What a process begins to wait for; see {@link onLockWait}. */
export interface LockWait {
  /** What the lock guards. */
  readonly what: string;
  /** Path of the lock file. */
  readonly path: string;
  /** The holder, for people: `process 123 on box since …`. */
  readonly holder: string;
  /** Greatest time that it will be waited for, in milliseconds. */
  readonly timeoutMs: number;
}

const waits = channel("ptuning:lock-wait");

/**
 * Calls a listener whenever something in this process begins to wait for a lock of another one, such as one that
 * fetches the same backbone, and again when the holder changes.
 * @returns what ends that
 */
export function onLockWait(listener: (wait: LockWait) => void): () => void {
  const heard = (message: unknown): void => listener(message as LockWait);
  waits.subscribe(heard);
  return () => waits.unsubscribe(heard);
}

/** A holder shows this often that it lives. */
const beatMs = 10_000;
/**
 * A holder that nobody here can ask counts as gone after this time without a sign of life. Generous: a long
 * computation keeps timers from running.
 */
const staleMs = 120_000;
/** A lock that says nothing is being written, or what a power cut left; after this time it is the latter. */
const blankMs = 1000;
const pollMs = 100;

/**
 * Takes the lock file at `path` for this process. While it is held, the file's time of change shows that its holder
 * lives; the lock of a process that no longer runs is taken over, at once where that process was of this machine and
 * container, else after two minutes without such a sign.
 * @returns the release
 * @throws LOCKED naming the holder
 */
export async function lockFile(path: string, options: LockOptions): Promise<() => Promise<void>> {
  const release = await acquire(path, options);
  await sweepTemporaries(dirname(path), { of: basename(path) });
  await removeTokens(path);
  return release;
}

/**
 * Removes a lock that a killed process has left and that nobody needs any more, as its work is done. Where that cannot
 * be, on a read-only disk or because the holder lives, it stays.
 */
export async function dropDeadLock(path: string): Promise<void> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  const release = await lockFile(path, { what: path }).catch(() => undefined);
  await release?.();
}

async function acquire(
  path: string,
  { what, timeoutMs = 0, signal }: LockOptions,
): Promise<() => Promise<void>> {
  const deadline = performance.now() + timeoutMs;
  const text = JSON.stringify({
    ...ownProcess(),
    host: hostname(),
    since: new Date().toISOString(),
  } satisfies Holder);
  // A complete file appears under the name in one step, so that nobody reads half a lock.
  const draft = temporaryName(path);
  const handle = await open(draft, "wx").catch((cause: unknown) => {
    throw asUnwritable(path, cause);
  });
  let isTaken = false;
  try {
    await handle.writeFile(text);
    // The clock of the file system, which may be another machine's.
    const clock = (await handle.stat()).mtimeMs - performance.now();
    let told: string | undefined;
    for (;;) {
      const held = await put(draft, path, handle, text);
      if (held !== undefined) {
        isTaken = true;
        return held;
      }
      signal?.throwIfAborted();
      const found = await look(path, what);
      if (found === undefined) continue;
      const state = judge(found, clock + performance.now());
      if (state === "gone") {
        await takeAway(path, found.identity, what);
        continue;
      }
      if (state !== "blank") {
        if (performance.now() >= deadline) throw lockedError(what, path, found, state);
        const holder = describe(found);
        if (told !== holder)
          waits.publish({ what, path, holder, timeoutMs: deadline - performance.now() } satisfies LockWait);
        told = holder;
      }
      await delay(pollMs, undefined, signal && { signal });
    }
  } finally {
    if (!isTaken) await handle.close();
    await rm(draft, { force: true });
  }
}

/** What file systems say that have no hard links. */
const linkless: ReadonlySet<string | undefined> = new Set([
  "EPERM",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EINVAL",
  "EXDEV",
  "EMLINK",
]);

/** Puts the draft in the lock's place. @returns the release; nothing if the place is taken */
async function put(
  draft: string,
  path: string,
  handle: FileHandle,
  text: string,
): Promise<(() => Promise<void>) | undefined> {
  try {
    await link(draft, path);
    return hold(path, handle, text);
  } catch (error) {
    if (systemCode(error) === "EEXIST") return undefined;
    if (!linkless.has(systemCode(error))) throw error;
  }
  const own = await open(path, "wx").catch((error: unknown) => {
    if (systemCode(error) === "EEXIST") return undefined;
    throw error;
  });
  if (own === undefined) return undefined;
  await own.writeFile(text);
  await handle.close();
  return hold(path, own, text);
}

/** Shows from now on that the holder lives. @returns the release */
async function hold(path: string, handle: FileHandle, text: string): Promise<() => Promise<void>> {
  const { ino } = await handle.stat({ bigint: true });
  const bytes = Buffer.from(text);
  // The same bytes again: only the time changes, by the clock of the file system.
  const beat = setInterval(() => void handle.write(bytes, 0, bytes.length, 0).catch(() => {}), beatMs);
  beat.unref();
  let isHeld = true;
  return async () => {
    if (!isHeld) return;
    isHeld = false;
    clearInterval(beat);
    await handle.close();
    const there = await stat(path, { bigint: true }).catch(() => undefined);
    // It may have been taken over while this process slept.
    if (there?.ino === ino) await rm(path, { force: true });
  };
}

/** Whether a lock is held by a process of another machine or container, of which nobody here can tell whether it runs. */
export async function isHeldElsewhere(path: string): Promise<boolean> {
  const holder = parseHolder(await readFile(path, "utf8").catch(() => ""));
  return holder !== undefined && markOf(holder).place !== processPlace();
}

/** A lock file that is there. */
interface FoundLock {
  /** Changes with the holder, and with each of its signs of life. */
  readonly identity: string;
  /** Last sign of life, by the clock of the file system. */
  readonly beatAt: number;
  /** Nothing if the file cannot be read or says nothing. */
  readonly holder: Holder | undefined;
  readonly isReadable: boolean;
}

/** @returns nothing if there is no lock */
async function look(path: string, what: string): Promise<FoundLock | undefined> {
  try {
    const status = await stat(path, { bigint: true });
    if (!status.isFile()) {
      throw new PtuningError("LOCKED", `${what}: expected a lock file at ${path}, got something else.`, {
        hint: `Nobody can hold or release that: move ${path} away.`,
      });
    }
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (systemCode(error) === "EACCES" || systemCode(error) === "EPERM") return undefined;
      throw error;
    });
    return {
      identity: `${status.ino}-${status.mtimeNs}-${status.size}`,
      beatAt: Number(status.mtimeNs / 1_000_000n),
      holder: text === undefined ? undefined : parseHolder(text),
      isReadable: text !== undefined,
    };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** `blank`: it may be that its holder is just writing it. */
function judge({ holder, isReadable, beatAt }: FoundLock, now: number): Liveness | "blank" {
  const silentMs = now - beatAt;
  if (holder === undefined && isReadable) return silentMs > blankMs ? "gone" : "blank";
  const liveness = holder === undefined ? "unknown" : livenessOf(markOf(holder));
  return liveness === "unknown" && silentMs > staleMs ? "gone" : liveness;
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, processStart, place, since } = JSON.parse(text);
    if (!Number.isInteger(pid) || pid <= 0 || typeof processStart !== "string") return undefined;
    return { pid, processStart, host: String(host), since: String(since), ...(place && { place }) };
  } catch {
    return undefined;
  }
}

/** Earlier versions wrote only the host's name, and the boot with the start. */
function markOf({ pid, processStart, host, place }: Holder): ProcessMark {
  const isOfThisBoot = processStart.split("/")[0] === ownProcess().processStart.split("/")[0];
  const isHere = host === hostname() && isOfThisBoot;
  return { pid, processStart, place: place ?? (isHere ? processPlace() : `host:${host}`) };
}

/**
 * Removes a dead holder's lock, unless someone has replaced it. Of all who see it dead only one at a time may, the
 * holder of a token with the dead lock's identity; else the last of them would remove the lock that the first has
 * taken meanwhile.
 */
async function takeAway(path: string, identity: string, what: string): Promise<void> {
  const release = await acquire(tokenPath(path, identity), { what, timeoutMs: 10_000 });
  try {
    if ((await look(path, what))?.identity === identity) await unlink(path);
  } finally {
    await release();
  }
}

const tokenEnd = ".takeover";

function tokenPath(path: string, identity: string): string {
  return join(dirname(path), `.${basename(path)}.${identity}${tokenEnd}`);
}

/** Tokens for locks that are no more, left by processes that were killed meanwhile, do nothing. */
async function removeTokens(path: string): Promise<void> {
  const folder = dirname(path);
  const start = `.${basename(path)}.`;
  const isToken = (name: string): boolean =>
    name.replace(/^\.+/, ".").startsWith(start) && name.includes(tokenEnd);
  for (const name of await readdir(folder)) {
    if (isToken(name) && name.endsWith(tokenEnd))
      await rm(join(folder, name), { force: true }).catch(() => {});
  }
  for (const draft of await temporariesIn(folder)) {
    if (isToken(draft.of) && (await isAbandoned(draft)))
      await rm(draft.path, { force: true }).catch(() => {});
  }
}

/** The holder, for people. */
function describe({ holder }: FoundLock): string {
  if (holder === undefined) return "a process of another user, whose lock cannot be read";
  const isHere = markOf(holder).place === processPlace();
  return `process ${holder.pid}${isHere ? "" : ` on ${holder.host}`} since ${holder.since}`;
}

function lockedError(what: string, path: string, found: FoundLock, state: Liveness): PtuningError {
  const hint =
    state === "running"
      ? "Wait for it or stop it."
      : `Wait for it or stop it. Without a sign of life for ${staleMs / 60_000} minutes it counts as gone; the last one is the time at which ${path} was changed.`;
  return new PtuningError("LOCKED", `${what}: in use by ${describe(found)}.`, { hint });
}
