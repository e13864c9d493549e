/** Locks between real processes: contention, death, other hosts and containers, and what cannot be read. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "ptuning/internal/core";
import { type LockWait, lockFile, onLockWait } from "ptuning/internal/files";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { repository } from "../support/requirements.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-locks-"));
  await chmod(folder, 0o777);
});
afterAll(() => rm(folder, { recursive: true }));

const what = "the thing";

/** A process that runs a program with `lockFile` at hand. */
function child(program: string, wrap: readonly string[] = [], uid?: number): ChildProcess {
  const source = `import { lockFile, onLockWait } from ${JSON.stringify(`${repository}dist/files/index.js`)};\n${program}`;
  const [command, ...args] = [...wrap, process.execPath, "--input-type=module", "-e", source];
  return spawn(command!, args, {
    stdio: ["ignore", "pipe", "inherit"],
    ...(uid !== undefined && { uid, gid: uid, cwd: "/" }),
  });
}

const said = (process: ChildProcess): Promise<string> =>
  new Promise((resolve) => process.stdout!.once("data", (bytes) => resolve(String(bytes).trim())));

async function kill(process: ChildProcess): Promise<void> {
  process.kill("SIGKILL");
  await new Promise((resolve) => process.once("exit", resolve));
}

const holding = (path: string): string =>
  `await lockFile(${JSON.stringify(path)}, { what: "x" }); console.log(process.pid); setInterval(() => {}, 1000);`;

test("processes that contend, and are killed at any moment, hold it one at a time; nothing is left", async () => {
  const path = join(folder, "contended");
  const log = join(folder, "turns");
  const rng = new Rng(3);
  const program = `
    import { appendFileSync } from "node:fs";
    for (let i = 0; i < 25; i++) {
      const release = await lockFile(${JSON.stringify(path)}, { what: "x", timeoutMs: 60_000 });
      appendFileSync(${JSON.stringify(log)}, "+" + process.pid + "\\n");
      await new Promise((resolve) => setTimeout(resolve, 3));
      appendFileSync(${JSON.stringify(log)}, "-" + process.pid + "\\n");
      await release();
    }`;
  const ended = new Set<number>();
  const run = (): Promise<void> => {
    const process = child(program);
    if (rng.integer(2) === 0) setTimeout(() => process.kill("SIGKILL"), 150 + rng.integer(900));
    return new Promise((resolve) =>
      process.on("exit", () => {
        ended.add(process.pid!);
        resolve();
      }),
    );
  };
  for (let round = 0; round < 3; round++) await Promise.all(Array.from({ length: 6 }, run));
  const turns = (await readFile(log, "utf8")).trim().split("\n");
  let holder: string | undefined;
  for (const turn of turns) {
    const pid = turn.slice(1);
    // Only a process that was killed inside leaves without a word.
    if (turn.startsWith("+")) {
      expect(holder === undefined || ended.has(Number(holder))).toBe(true);
      holder = pid;
    } else {
      expect(pid).toBe(holder);
      holder = undefined;
    }
  }
  expect(turns.length).toBeGreaterThan(300);
  await (await lockFile(path, { what, timeoutMs: 5000 }))();
  expect((await readdir(folder)).filter((name) => name.includes("contended"))).toEqual([]);
}, 120_000);

const unshare = "unshare";
const canRename = spawnSync(unshare, ["--uts", "true"]).status === 0;
test.skipIf(!canRename)(
  "a killed process of this machine is told by itself, whatever the host was called",
  async () => {
    const path = join(folder, "renamed");
    const inBox = [unshare, "--uts", "sh", "-c", 'hostname box-a; exec "$@"', "sh"];
    const other = child(holding(path), inBox);
    const pid = await said(other);
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({ host: "box-a", pid: Number(pid) });
    await expect(lockFile(path, { what })).rejects.toThrow(`the thing: in use by process ${pid}`);
    await kill(other);
    await (await lockFile(path, { what }))();
  },
  60_000,
);

test("a holder elsewhere counts as gone after two minutes without a sign of life", async () => {
  const path = join(folder, "elsewhere");
  for (const place of [{ place: "another boot/pid:[1]" }, {}]) {
    const holder = { pid: process.pid, processStart: "another/1", host: "box-b", since: "today", ...place };
    await writeFile(path, JSON.stringify(holder));
    await expect(lockFile(path, { what })).rejects.toMatchObject({
      code: "LOCKED",
      message: `the thing: in use by process ${process.pid} on box-b since today.`,
      hint: expect.stringContaining("2 minutes"),
    });
    const longAgo = Date.now() / 1000 - 130;
    await utimes(path, longAgo, longAgo);
    await (await lockFile(path, { what }))();
  }
});

test("whoever holds it shows that it lives, and gives back only what is its own", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  try {
    const path = join(folder, "beating");
    const release = await lockFile(path, { what });
    const text = await readFile(path, "utf8");
    await utimes(path, 1, 1);
    vi.advanceTimersByTime(10_000);
    await vi.waitFor(async () => expect(Date.now() - (await stat(path)).mtimeMs).toBeLessThan(60_000));
    expect(await readFile(path, "utf8")).toBe(text);
    await rm(path);
    await writeFile(path, "another's");
    await release();
    expect(await readFile(path, "utf8")).toBe("another's");
  } finally {
    vi.useRealTimers();
  }
});

test.skipIf(process.platform !== "linux")(
  "a process of this number that began at another time is not the holder",
  async () => {
    const path = join(folder, "again");
    const release = await lockFile(path, { what });
    const own = JSON.parse(await readFile(path, "utf8"));
    await release();
    await writeFile(path, JSON.stringify({ ...own, processStart: `${own.processStart}0` }));
    await (await lockFile(path, { what }))();
    expect(own.host).toBe(hostname());
  },
);

test("what is no lock, or cannot be read, is an error or waited for, and never spun on", async () => {
  const path = join(folder, "folder-lock");
  await mkdir(path);
  await expect(lockFile(path, { what, timeoutMs: 60_000 })).rejects.toMatchObject({
    code: "LOCKED",
    message: `the thing: expected a lock file at ${path}, got something else.`,
  });
  const secret = join(folder, "secret-lock");
  await writeFile(secret, JSON.stringify({ pid: 1, processStart: "", host: "x", since: "" }), {
    mode: 0o000,
  });
  const program = `
    const before = process.cpuUsage();
    const started = performance.now();
    await lockFile(${JSON.stringify(secret)}, { what: "x", timeoutMs: 1000 }).catch((error) => {
      const { user, system } = process.cpuUsage(before);
      console.log(JSON.stringify({ code: error.code, message: error.message, waited: performance.now() - started, cpu: (user + system) / 1000 }));
    });`;
  const isRoot = process.getuid?.() === 0;
  const report = JSON.parse(await said(child(program, [], isRoot ? 65534 : undefined)));
  expect(report).toMatchObject({ code: "LOCKED", message: expect.stringContaining("cannot be read") });
  expect(report.waited).toBeGreaterThan(900);
  expect(report.cpu).toBeLessThan(600);
});

test("who waits is told at once for what and for whom; waiting can be ended", async () => {
  const path = join(folder, "told");
  const other = child(holding(path));
  const pid = await said(other);
  const waits: LockWait[] = [];
  const stop = onLockWait((wait) => waits.push(wait));
  const ending = new AbortController();
  const started = performance.now();
  const waiting = lockFile(path, { what, timeoutMs: 60_000, signal: ending.signal });
  await vi.waitFor(() => expect(waits).toHaveLength(1));
  expect(performance.now() - started).toBeLessThan(1000);
  expect(waits[0]).toMatchObject({ what, path, holder: expect.stringMatching(`^process ${pid} since `) });
  ending.abort();
  await expect(waiting).rejects.toThrow(/abort/i);
  const second = lockFile(path, { what, timeoutMs: 60_000 });
  await vi.waitFor(() => expect(waits).toHaveLength(2));
  await kill(other);
  await (await second)();
  stop();
  expect((await readdir(folder)).filter((name) => name.includes("told"))).toEqual([]);
});
