/** Sweeps through a real Redis server: workers that are killed, that have other files, and that nobody should trust. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { appendFile, cp, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Queue } from "bullmq";
import { formatConfig } from "ptuning/internal/config";
import { Rng } from "ptuning/internal/core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { startRedis, type TestRedis, TestWorker } from "../support/redis.ts";
import { has } from "../support/requirements.ts";
import { gridFlags, loggedSteps, tinyConfig, until, watchRuns } from "../support/trials.ts";

let folder: string;
let root: string;
let workers: TestWorker[] = [];

async function writeRoot(): Promise<void> {
  const config = await tinyConfig(root);
  await cp(config.backbone, join(root, "tiny"), { recursive: true });
  await writeFile(join(root, "run.yaml"), formatConfig({ ...config, backbone: join(root, "tiny") }));
}
const results = (sweep: string): string[] => {
  const trials = join(root, sweep, "trials");
  const ids = existsSync(trials) ? readdirSync(trials) : [];
  return ids.filter((id) => existsSync(join(trials, id, "result.json")));
};
const doneOf = ({ stdout }: CliResult): { trial: string; ran: boolean; result: { status: string } }[] =>
  stdout
    .split("\n")
    .filter((line) => line.includes('"trial-done"'))
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "ptuning-queue-")));
  root = join(folder, "root");
  await mkdir(root);
  await writeRoot();
});
afterEach(async () => {
  await Promise.all(workers.map((worker) => worker.end("SIGKILL")));
  workers = [];
});
afterAll(() => rm(folder, { recursive: true }));

test("an address that is none, and a server that does not answer", async () => {
  const args = ["worker", "--root", root, "--queue"];
  const none = await ptuning([...args, "http://localhost"]);
  expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/expected redis:\/\/host:port/) });
  for (const [path, got] of [
    ["/one", "one"],
    ["/-1", "-1"],
    ["/1/2", "1/2"],
    ["/1.5", "1.5"],
    ["/1234567890", "1234567890"],
  ]) {
    const { code, stderr } = await ptuning([...args, `redis://user:hidden-word@127.0.0.1:1${path}`]);
    expect(code).toBe(1);
    expect(stderr).toContain(`queue: expected the number of a database behind the port, got "${got}".`);
    expect(stderr).not.toContain("hidden-word");
  }
  const silent = await ptuning([...args, "redis://user:hidden-word@127.0.0.1:1", "--json"]);
  expect(silent.code).toBe(1);
  expect(JSON.parse(silent.stdout)).toMatchObject({ type: "error", code: "QUEUE_UNAVAILABLE" });
  expect(silent.stdout + silent.stderr).toMatch(/Redis at 127\.0\.0\.1:1: expected an answer/);
  expect(silent.stdout + silent.stderr).not.toContain("hidden-word");
  const sweep = [
    "sweep",
    "run.yaml",
    "--grid",
    "training.seed=1,2",
    "--queue",
    "redis://127.0.0.1:1",
    "-o",
    "silent",
  ];
  expect(await ptuning(sweep, { cwd: root })).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Redis at/),
  });
}, 300_000);

describe.skipIf(!has.redis)("with a Redis server", () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis(folder);
  });
  afterAll(() => redis.stop());

  const start = (at = root, lockSeconds?: number): TestWorker => {
    const worker = new TestWorker(redis.url, at, lockSeconds);
    workers.push(worker);
    return worker;
  };
  const sweep = (args: readonly string[]): Promise<CliResult> =>
    ptuning(["sweep", "run.yaml", ...args, "--queue", redis.url, "--root", root, "--json"], { cwd: root });

  test("24 trials, four workers, one of them killed at random three times: 24 results, none run twice to the end", async () => {
    const rng = new Rng(5);
    const trials = join(root, "killed/trials");
    const watch = watchRuns(trials);
    for (let i = 0; i < 4; i++) start();
    const running = sweep([...gridFlags, "--set", "training.epochs=6", "-o", "killed"]);
    for (const atLeast of [3, 9, 15]) {
      await until(() => results("killed").length >= atLeast);
      await delay(rng.integer(700));
      const victim = rng.integer(4);
      await workers[victim]!.end("SIGKILL");
      workers[victim] = new TestWorker(redis.url, root);
    }
    const { code, stderr, ...output } = await running;
    watch.stop();
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const done = doneOf({ code, stderr, ...output });
    expect(new Set(done.map(({ trial }) => trial)).size).toBe(24);
    expect(done).toHaveLength(24);
    expect(results("killed")).toHaveLength(24);
    expect([...watch.seen.values()].map((files) => files.size)).toEqual(Array(24).fill(1));
    for (const id of readdirSync(trials)) {
      const record = JSON.parse(readFileSync(join(trials, id, "result.json"), "utf8"));
      expect(record).toMatchObject({
        id,
        status: "finished",
        steps: 108,
        overrides: { "training.seed": expect.any(Number) },
      });
      expect(loggedSteps(join(trials, id, record.run))).toEqual(Array.from({ length: 108 }, (_, i) => i + 1));
    }
    expect(JSON.parse(readFileSync(join(root, "killed/results.json"), "utf8")).trials).toHaveLength(24);
  }, 600_000);

  test("a claim is renewed while a step takes long; a trial goes on elsewhere after a kill, and after a stop", async () => {
    const args = [
      "--grid",
      "training.seed=1",
      "--set",
      "training.epochs=120",
      "--set",
      "training.evaluateEvery=500",
      "-o",
      "long",
    ];
    const lockSeconds = 4;
    const running = sweep(args);
    const first = start(root, lockSeconds);
    await until(() => first.ofType("trial-start").length === 1);
    const [second, third] = [start(root, lockSeconds), start(root, lockSeconds)];
    await until(() => [second, third].every((worker) => worker.ofType("worker-ready").length === 1));
    const [id] = readdirSync(join(root, "long/trials"));
    const run = join(root, "long/trials", id!, "run");
    const child = (): number => JSON.parse(readFileSync(join(run, "run.lock"), "utf8")).pid;
    await until(() => existsSync(join(run, "state.safetensors")));
    // A step that takes longer than a claim lasts, as far as the worker can tell.
    process.kill(child(), "SIGSTOP");
    await delay(1500 * lockSeconds);
    process.kill(child(), "SIGCONT");
    await delay(500);
    expect([second, third].flatMap((worker) => worker.ofType("trial-start"))).toEqual([]);
    expect(first.ofType("trial-lost")).toEqual([]);
    await first.end("SIGKILL");
    await until(() => [second, third].some((worker) => worker.ofType("trial-start").length === 1));
    const [holder, other] = second.ofType("trial-start").length === 1 ? [second, third] : [third, second];
    expect(holder.ofType("trial-start")[0]).toMatchObject({ resumed: true });
    await until(() => existsSync(join(run, "run.lock")) && loggedSteps(run).length > 0);
    expect(await holder.end("SIGTERM")).toBe(143);
    const { code } = await running;
    expect(code).toBe(0);
    expect(other.ofType("trial-start")[0]).toMatchObject({ resumed: true });
    expect(loggedSteps(run)).toEqual(Array.from({ length: 2160 }, (_, i) => i + 1));
  }, 300_000);

  test("a database is chosen by its number, and one that is not there refused", async () => {
    const args = (path: string): string[] => ["--queue", `${redis.url}${path}`, "--root", root, "--json"];
    for (const command of [["worker"], ["sweep", "run.yaml", "--grid", "training.seed=1", "-o", "none"]]) {
      const absent = await ptuning([...command, ...args("/16")], { cwd: root });
      expect(absent.code).toBe(1);
      expect(JSON.parse(absent.stdout.trim().split("\n").at(-1)!)).toMatchObject({
        type: "error",
        code: "OPTION_INVALID",
        message: expect.stringMatching(/expected a database that Redis at 127\.0\.0\.1:\d+ has, got 16/),
      });
    }
    expect(results("none")).toEqual([]);
    // A worker of another database takes nothing of it.
    const other = start();
    await until(() => other.ofType("worker-ready").length === 1);
    const worker = new TestWorker(`${redis.url}/3`, root);
    workers.push(worker);
    const swept = ["sweep", "run.yaml", "--grid", "training.seed=1", "-o", "third", ...args("/3")];
    const { code, ...output } = await ptuning(swept, { cwd: root });
    expect(code).toBe(0);
    expect(doneOf({ code, ...output }).map(({ result }) => result.status)).toEqual(["finished"]);
    expect(worker.ofType("trial-done")).toHaveLength(1);
    expect(other.ofType("trial-start")).toEqual([]);
  }, 120_000);

  test("--silence-minutes ends a trial that tells nothing for so long", async () => {
    const preload = join(folder, "silent.mjs");
    await writeFile(preload, 'if (process.argv.includes("train")) for (;;);\n');
    const flags = ["--silence-minutes", "0.03"];
    const env = { NODE_OPTIONS: `--import=${preload}` };
    workers.push(new TestWorker(redis.url, root, 2, { flags, env }));
    const { code, ...output } = await sweep(["--grid", "training.seed=1", "-o", "silence"]);
    const [done] = doneOf({ code, ...output });
    expect(done).toMatchObject({
      result: {
        status: "failed",
        error: { code: "KILLED", message: "the process of the trial told nothing for 2 s, and was ended." },
      },
    });
    for (const wrong of ["0", "-1", "soon"]) {
      const refused = await ptuning([
        "worker",
        "--queue",
        redis.url,
        "--root",
        root,
        "--silence-minutes",
        wrong,
      ]);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/--silence-minutes/);
    }
  }, 120_000);

  test("results come from a root of another machine; other files are refused; what is no trial harms nobody", async () => {
    const elsewhere = join(folder, "elsewhere");
    await cp(root, elsewhere, { recursive: true, filter: (path) => !/killed|long/.test(path) });
    await appendFile(join(elsewhere, "train.csv"), "w1 w2,class 1\n");
    const worker = start(elsewhere);
    await until(() => worker.ofType("worker-ready").length === 1);
    const before = readdirSync(folder);
    const { hostname: host, port, password } = new URL(redis.url);
    const queue = new Queue("ptuning-trials", { connection: { host, port: Number(port), password } });
    const evil = { version: 1, id: "0123456789ab", folder: "./../x", config: "data: {train: /etc/passwd}" };
    await queue.add("trial", evil);
    await queue.add("trial", "nonsense");
    await until(() => worker.ofType("job-refused").length === 2);
    await queue.close();
    expect(worker.ofType("job-refused")[0]).toMatchObject({ code: "QUEUE_FAILED" });
    expect(readdirSync(folder)).toEqual(before);

    const args = ["--grid", "training.seed=1,2", "-o", "remote"];
    const refused = await sweep(args);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/worker: data: expected sha256:\w+, got sha256:/);
    expect(results("remote")).toEqual([]);
    await cp(join(root, "train.csv"), join(elsewhere, "train.csv"));
    const { code, ...output } = await sweep(args);
    expect(code).toBe(0);
    expect(doneOf({ code, ...output }).map(({ result }) => result.status)).toEqual(["finished", "finished"]);
    for (const id of results("remote")) {
      expect(readdirSync(join(root, "remote/trials", id))).toEqual(["result.json"]);
      expect(existsSync(join(elsewhere, "remote/trials", id, "run/adapter"))).toBe(true);
    }
  }, 300_000);
});
