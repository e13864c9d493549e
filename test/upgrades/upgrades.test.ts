/**
 * What earlier commits wrote is still read, gone on with and shown, or refused with what to do. Each folder here is
 * named by a commit and was made by tools/upgrades/make.mjs with that commit's own build.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Queue, Worker } from "bullmq";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { startRedis, TestWorker } from "../support/redis.ts";
import { has, repository } from "../support/requirements.ts";
import { type Answer, type Expected, placeUpgrade } from "../support/upgrades.ts";

const commits = readdirSync(join(repository, "test/upgrades"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

test("there are folders of earlier commits", () => {
  expect(commits).toContain("3a76d35");
});

describe.each(commits)("what %s wrote", (commit) => {
  let folder: string;
  let root: string;
  let expected: Expected;
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "ptuning-upgrade-")));
    root = join(folder, "root");
    expected = placeUpgrade(commit, root);
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** Whether fingerprints were over samples of the weights, and states did not know their rows. */
  const isOfOldForm = commit === "3a76d35";
  const run = (...args: string[]): Promise<CliResult> =>
    ptuning(args, { cwd: root, env: { HF_HUB_OFFLINE: "1" } });
  const read = (...path: string[]) => JSON.parse(readFileSync(join(root, ...path), "utf8"));
  const fast = ["--set", "training.precision=fp32", "--set", "training.epochs=1"];
  const quiet = ["--set", "report={html: false, tensorboard: false}", "--threads", "1"];

  test.each<["finished" | "several" | "tuned", string[]]>([
    ["finished", []],
    ["several", ["--head", "texts"]],
    ["tuned", []],
  ])("adapter: %s gives the same answers", async (name, head) => {
    const flags = ["--backbone", "tiny", "--input", "texts.csv", "--format", "jsonl", "--precision", "fp32"];
    const { code, stdout, stderr } = await run("predict", name, ...flags, ...head);
    expect(stderr).not.toMatch(/error/);
    if (isOfOldForm && name !== "tuned") expect(stderr).toMatch(/fingerprint of tiny is of an old form/);
    expect(code).toBe(0);
    const answers: Answer[] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(answers).toHaveLength(8);
    for (const [i, { label, probabilities }] of expected[name].entries()) {
      expect(answers[i]!.label).toBe(label);
      for (const [one, value] of Object.entries(probabilities))
        expect(answers[i]!.probabilities[one]).toBeCloseTo(value, 4);
    }
  });

  test.each(["unfinished", "several-unfinished"] as const)(
    "run: %s goes on and comes to the same",
    async (name) => {
      const { code, stderr } = await run("train", "--resume", name);
      expect(stderr).not.toMatch(/error/);
      expect(code).toBe(0);
      const log = readFileSync(join(root, name, "events.jsonl"), "utf8");
      if (isOfOldForm) expect(log).toMatch(/"unverified".*earlier version/);
      // Its updates come to the same; that heads are fitted again behind them is of today, and so is that of states with equal
      // scores the one with the lower loss is kept, where it was the first.
      const evaluations = log
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
        .filter(({ type }) => type === "evaluation");
      const { step, loss, scores } = expected[name];
      const then = evaluations.find((event) => event.step === step);
      expect(then.loss).toBeCloseTo(loss, 4);
      for (const [score, value] of Object.entries(scores)) expect(then.scores[score]).toBeCloseTo(value, 4);
      const best = evaluations.findLast((event) => event.best);
      expect(read(name, "result.json").best.step).toBe(best.step);
      const [decisive] = Object.keys(scores) as [string];
      expect(best.scores[decisive]).toBeCloseTo(scores[decisive]!, 4);
      expect(best.loss).toBeLessThanOrEqual(then.loss);
    },
  );

  test("run: a finished one is reported and inspected, and others start from its adapter or state", async () => {
    for (const name of ["finished", "several", "tuned"])
      expect(await run("report", name)).toMatchObject({ code: 0, stderr: "" });
    expect((await run("inspect", "finished")).code).toBe(0);
    const args = ["train", "train.csv", "--backbone", "tiny", "--max-length", "16", "--prompt-length", "2"];
    for (const from of ["finished", "finished/state.safetensors"]) {
      const flags = [...fast, ...quiet, "--overwrite", "-o", "started", "--start-from", from];
      expect(await run(...args, ...flags)).toMatchObject({ code: 0 });
    }
  }, 60_000);

  test("sweep: goes on; what has a result is not run again", async () => {
    const before = readdirSync(join(root, "sweep/trials")).map((id) =>
      read("sweep/trials", id, "result.json"),
    );
    expect(before).toHaveLength(3);
    const { code, stdout } = await run("sweep", "--resume", "sweep", "--runs", "4", "--json");
    expect(code).toBe(0);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const done = events.filter(({ type }) => type === "trial-done");
    expect(done.filter(({ ran }) => ran)).toHaveLength(1);
    expect(done.filter(({ ran }) => !ran).map(({ result }) => result)).toEqual(
      expect.arrayContaining(before),
    );
    expect(read("sweep/results.json").trials).toHaveLength(4);
  }, 60_000);

  test("comparison: goes on; what has a result is not run again", async () => {
    const flags = ["--preset", "length", "--values", "2,3", "--seeds", "1", "--workers", "1"];
    const { code, stdout } = await run("compare", "run.yaml", ...flags, "-o", "comparison", "--json");
    expect(code).toBe(0);
    expect(stdout.match(/"ran":true/g)).toHaveLength(3);
    expect(stdout.match(/"ran":false/g)).toHaveLength(1);
    const { variants } = read("comparison/comparison.json") as { variants: { runs: { state: string }[] }[] };
    const states = variants.flatMap(({ runs }) => runs.map(({ state }) => state));
    expect(states).toEqual(Array(4).fill("finished"));
  }, 60_000);

  test.skipIf(!has.redis)(
    "queue: jobs that were left there do no harm, and the sweep goes on",
    async () => {
      const redis = await startRedis(folder);
      let worker: TestWorker | undefined;
      try {
        await leave(redis.url, expected.jobs);
        worker = new TestWorker(redis.url, root);
        const record = read("queued/trials", expected.jobs.completed.data.id, "result.json");
        const flags = ["--queue", redis.url, "--root", ".", "--json"];
        const { code, stderr } = await run("sweep", "--resume", "queued", ...flags);
        expect(stderr).toBe("");
        expect(code).toBe(0);
        const { trials } = read("queued/results.json") as { trials: { id: string; dev?: object }[] };
        expect(trials.filter(({ dev }) => dev !== undefined)).toHaveLength(4);
        expect(read("queued/trials", record.id, "result.json")).toEqual(record);
        for (const { id } of trials) {
          const { run: name } = read("queued/trials", id, "result.json");
          expect(existsSync(join(root, "queued/trials", id, name, "adapter/ptuning.json"))).toBe(true);
        }
      } finally {
        await worker?.end("SIGKILL");
        await redis.stop();
      }
    },
    120_000,
  );
});

/** Puts jobs into Redis as they were: one completed, one that waits. */
async function leave(url: string, { completed, waiting }: Expected["jobs"]): Promise<void> {
  const connection = { url, maxRetriesPerRequest: null };
  const queue = new Queue("ptuning-trials", { connection });
  await queue.add(completed.name, completed.data, { jobId: completed.id });
  const worker = new Worker("ptuning-trials", async () => completed.returnvalue, { connection });
  while ((await queue.getCompletedCount()) < 1) await new Promise((resolve) => setTimeout(resolve, 20));
  await worker.close();
  await queue.add(waiting.name, waiting.data, { jobId: waiting.id, removeOnFail: true });
  await queue.close();
}
