import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { PtuningError, systemCode } from "../core/index.ts";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Tells a process from a later one with the same id; empty where the system does not say. */
  readonly processStart: string;
  readonly since: string;
}

/** How a lock is asked for. */
export interface LockOptions {
  /** What the lock guards, for the message: `run folder "runs/a"`. */
  readonly what: string;
  /** How long to wait for another holder; 0 fails at once. */
  readonly timeoutMs?: number;
}

/**
 * Takes the lock file at `path` for this process; the lock of a process that no longer runs is taken over.
 * @returns the release
 * @throws LOCKED naming the holder
 */
export async function lockFile(path: string, options: LockOptions): Promise<() => Promise<void>> {
  const deadline = Date.now() + (options.timeoutMs ?? 0);
  const own: Holder = {
    pid: process.pid,
    host: hostname(),
    processStart: processStart(process.pid),
    since: new Date().toISOString(),
  };
  // A complete file appears under the name in one step, so that nobody reads half a lock.
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, JSON.stringify(own));
  try {
    for (;;) {
      try {
        await link(draft, path);
        return () => rm(path, { force: true });
      } catch (error) {
        if (systemCode(error) !== "EEXIST") throw error;
      }
      const text = await readFile(path, "utf8").catch(() => undefined);
      if (text === undefined) continue;
      const holder = parseHolder(text);
      if (holder === undefined || !isRunning(holder)) await takeAway(path, text);
      else if (Date.now() >= deadline) throw lockedError(options.what, path, holder);
      else await delay(100);
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** Whether a lock is held by a process of another machine, of which nobody here can tell whether it runs. */
export async function isHeldElsewhere(path: string): Promise<boolean> {
  const holder = parseHolder(await readFile(path, "utf8").catch(() => ""));
  return holder !== undefined && holder.host !== hostname();
}

function parseHolder(text: string): Holder | undefined {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return undefined;
  }
}

/** Removes a dead holder's lock, unless someone else has just replaced it. */
async function takeAway(path: string, deadText: string): Promise<void> {
  const aside = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.stale`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, "utf8")) !== deadText) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

function isRunning(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return false;
  }
  return holder.processStart === processStart(holder.pid);
}

/** Boot id and start time of a process (Linux); process ids are used again, in containers at once. */
function processStart(pid: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead" : `${boot}/${fields[19]}`;
  } catch {
    return "";
  }
}

function lockedError(what: string, path: string, holder: Holder): PtuningError {
  const place = holder.host === hostname() ? "" : ` on ${holder.host}`;
  return new PtuningError(
    "LOCKED",
    `${what}: in use by process ${holder.pid}${place} since ${holder.since}.`,
    {
      hint: `Wait for it or stop it. If no such process exists, delete ${path}.`,
    },
  );
}
