/** Data in folders whose names only look like tokens: all that is written about a run is read back as it was given. */
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { ptuning } from "../support/cli.ts";
import { startRedis, TestWorker } from "../support/redis.ts";
import { has } from "../support/requirements.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

vi.setConfig({ testTimeout: 300_000 });

const inner = join(
  ...["hf_datasets", "hf_datasetscopy", "api_documents_2024", "sk-learn-examples-2024"],
  ...["api-documentation-set", "ghp_results_of_the_last_experiment", "gho_something_long_enough"],
);
let folder: string;
let data: string;
let backbone: string;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "ptuning-paths-")));
  const place = join(folder, inner);
  await mkdir(place, { recursive: true });
  data = join(place, "train.csv");
  backbone = join(place, "api_model_of_the_year");
  await writeFile(data, tinyCsv(120, 1));
  cpSync(tinyFolder, backbone, { recursive: true });
});
afterAll(() => rm(folder, { recursive: true }));

const quick = [
  "--precision",
  "fp32",
  "--batch-size",
  "8",
  "--max-length",
  "16",
  "--threads",
  "1",
  "--set",
  "data.devShare=0.1",
];
const configOf = (path: string): unknown => parse(readFileSync(join(folder, path), "utf8"));
const given = (): unknown =>
  expect.objectContaining({ backbone, data: expect.objectContaining({ train: data }) });

test("train, resume from elsewhere, report", async () => {
  const run = join(inner, "runs");
  const stopped = await ptuning(
    ["train", data, "--backbone", backbone, ...quick, "--epochs", "60", "--json", "-o", run],
    {
      cwd: folder,
      onStart: (child) =>
        child.stdout!.on("data", (text: string) => {
          if (text.includes('"type":"evaluation"')) child.kill("SIGTERM");
        }),
    },
  );
  expect(stopped.code, stopped.stderr).toBe(143);
  expect(configOf(join(run, "config.yaml"))).toEqual(given());
  const resumed = await ptuning(["train", "--resume", join(folder, run)], { cwd: tmpdir() });
  expect(resumed.code, resumed.stderr).toBe(0);
  const report = await ptuning(["report", run], { cwd: folder });
  expect(report, report.stderr).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(join(folder, run, "report.html"), "utf8")).toContain("Dev examples");
});

test("sweep and compare, begun and gone on with", async () => {
  const args = [data, "--backbone", backbone, ...quick, "--epochs", "1"];
  const sweep = await ptuning(["sweep", ...args, "--grid", "training.seed=1,2", "-o", "sk-sweeps-of-2024"], {
    cwd: folder,
  });
  expect(sweep.code, sweep.stderr).toBe(0);
  expect(configOf("sk-sweeps-of-2024/sweep.yaml")).toEqual(given());
  const trials = join("sk-sweeps-of-2024", "trials");
  for (const id of readdirSync(join(folder, trials)))
    expect(configOf(join(trials, id, "trial.yaml"))).toEqual(given());
  const more = ["sweep", "--resume", "sk-sweeps-of-2024", "--grid", "training.seed=1,2,3", "--json"];
  const again = await ptuning(more, { cwd: folder });
  expect(again.code, again.stderr).toBe(0);
  const done = again.stdout.split("\n").filter((line) => line.includes('"trial-done"'));
  expect(done.map((line) => JSON.parse(line).ran)).toEqual([false, false, true]);
  const compare = await ptuning(
    ["compare", ...args, "--methods", "bitfit", "--seeds", "1", "-o", "api_comparisons_2024"],
    { cwd: folder },
  );
  expect(compare.code, compare.stderr + compare.stdout).toBe(0);
  expect(compare.stdout).not.toContain("failed");
});

describe.skipIf(!has.redis)("with a Redis server", () => {
  test("the queue carries such paths as they are", async () => {
    const redis = await startRedis(folder);
    const worker = new TestWorker(redis.url, folder);
    try {
      const sweep = await ptuning(
        [
          ...[
            "sweep",
            data,
            "--backbone",
            backbone,
            ...quick,
            "--epochs",
            "1",
            "--grid",
            "training.seed=4,5",
          ],
          ...["--queue", redis.url, "--root", ".", "-o", join(inner, "queued")],
        ],
        { cwd: folder },
      );
      expect(sweep.code, sweep.stderr + worker.stderr).toBe(0);
      expect(sweep.stdout).not.toContain("failed");
      expect(configOf(join(inner, "queued", "sweep.yaml"))).toEqual(given());
    } finally {
      await worker.end("SIGKILL");
      await redis.stop();
    }
  });
});
