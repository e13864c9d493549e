/** `ptuning compare` as users meet it, on a tiny backbone: from nothing, over a kill, to table and page. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Comparison } from "ptuning/internal/report";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type CliOptions, type CliResult, ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

/** Each test starts several processes, which take turns on a machine of two cores. */
vi.setConfig({ testTimeout: 180_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-compare-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(160, 1));
  await writeFile(join(folder, "test.csv"), tinyCsv(60, 2));
});
afterAll(() => rm(folder, { recursive: true }));

const compare = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  ptuning(
    [
      ...["compare", "train.csv", "--test", "test.csv", "--backbone", tinyFolder, "--precision", "fp32"],
      ...[
        "--batch-size",
        "8",
        "--max-length",
        "16",
        "--prompt-length",
        "3",
        "--epochs",
        "3",
        "--threads",
        "1",
      ],
      ...args,
    ],
    { cwd: folder, ...options },
  );
const read = (place: string): Comparison =>
  JSON.parse(readFileSync(join(folder, place, "comparison.json"), "utf8"));
const ends = (stdout: string): { type: string; ran: boolean; variant: string; seed: number }[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === "trial-done");

describe("methods", () => {
  // 16 tokens and 40 prompt vectors do not fit into the 48 positions: that method fails in each run.
  const args = [
    ...["--methods", "p-tuning-v2", "prompt-tuning", "linear-probe,fine-tuning", "--seeds", "2", "-o", "all"],
    ...["--set", "prompt-tuning:method.promptLength=40", "--set", "p-tuning-v2:training.learningRate=0.03"],
  ];

  test("killed in the middle, it goes on with what is missing; a method that fails is a row", async () => {
    const killed = await compare([...args, "--json"], {
      onStart(child) {
        let seen = 0;
        child.stdout!.on("data", (text: string) => {
          seen += text.split('"type":"trial-done"').length - 1;
          if (seen >= 3) child.kill("SIGKILL");
        });
      },
    });
    expect(killed.signal).toBe("SIGKILL");
    const before = read("all");
    expect(before.variants.flatMap(({ runs }) => runs).some(({ state }) => state === "waiting")).toBe(true);

    const { code, stdout, stderr } = await compare([...args, "--json"]);
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const done = ends(stdout);
    expect(done).toHaveLength(8);
    expect(done.filter(({ ran }) => !ran).length).toBeGreaterThanOrEqual(3);
    const last = JSON.parse(stdout.trim().split("\n").at(-1)!);
    expect(last).toMatchObject({ type: "comparison", done: 8, total: 8 });
    expect(last.comparison).toEqual(read("all"));
  });

  test("the table has all figures of each method", async () => {
    const { variants, score, fingerprints, title } = read("all");
    expect(title).toBe("Methods: train");
    expect(score).toEqual({ name: "accuracy", on: "test" });
    expect(fingerprints.data).toMatch(/^sha256:/);
    expect(variants.map(({ name }) => name)).toEqual([
      ...["p-tuning-v2", "prompt-tuning", "linear-probe", "fine-tuning"],
    ]);
    for (const { name, runs } of variants) {
      expect(runs.map(({ seed }) => seed)).toEqual([11, 12]);
      for (const run of runs) {
        if (name === "prompt-tuning") {
          expect(run).toMatchObject({ state: "failed", error: { code: "SEQUENCE_TOO_LONG" } });
          continue;
        }
        expect(run).toMatchObject({ state: "finished", precision: "fp32" });
        expect(run.test!.accuracy).toBeGreaterThan(0.2);
        for (const key of ["secondsPerEpoch", "secondsToBest", "peakMemoryBytes", "fileBytes"] as const) {
          expect(run[key], `${name} ${key}`).toBeGreaterThan(0);
        }
      }
    }
    const trainable = Object.fromEntries(variants.map(({ name, runs }) => [name, runs[0]!.trainable]));
    // 2 layers of keys and values of 32 for each of 3 positions, and a head of 32 · 3 + 3.
    expect(trainable).toMatchObject({ "p-tuning-v2": 384 + 99, "linear-probe": 99 });
    // What is saved is the whole backbone there.
    const bytes = Object.fromEntries(variants.map(({ name, runs }) => [name, runs[0]!.fileBytes]));
    expect(bytes["fine-tuning"]).toBeGreaterThan(3 * bytes["linear-probe"]!);
  });

  test("each method has its own settings; the runs are ordinary ones", () => {
    const of = (name: string): string => {
      const { id } = read("all").variants.find((variant) => variant.name === name)!.runs[0]!;
      return readFileSync(join(folder, "all/trials", id, "trial.yaml"), "utf8");
    };
    expect(of("p-tuning-v2")).toMatch(/learningRate: 0\.03/);
    expect(of("fine-tuning")).not.toMatch(/learningRate|promptLength/);
    expect(of("prompt-tuning")).toMatch(/promptLength: 40/);
    expect(of("linear-probe")).toMatch(/seed: 11/);
  });

  test("a second time nothing is trained, and text and files say the same", async () => {
    const files = ["comparison.csv", "comparison.html", "comparison.md", "figure.svg"];
    const { code, stdout, stderr } = await compare(args);
    expect(code).toBe(0);
    expect(stdout.match(/was there/g)).toHaveLength(6);
    expect(stdout).toMatch(/test accuracy +trainable +s\/epoch +s to best +peak memory +saved +note/);
    expect(stdout).toMatch(/^prompt-tuning .* failed: SEQUENCE_TOO_LONG: /m);
    expect(stdout).toContain("all/comparison.html");
    expect(stderr).not.toMatch(/error:|defect/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: piped output must be free of escape sequences
    expect(stdout + stderr).not.toMatch(/\u001b|\r/);
    expect(readdirSync(join(folder, "all")).sort()).toEqual([...files, "comparison.json", "trials"].sort());
    expect(readFileSync(join(folder, "all/comparison.md"), "utf8")).toContain("](figure.svg)");
    expect(readFileSync(join(folder, "all/figure.svg"), "utf8")).toMatch(/^<svg/);
  });

  test("other data in the same folder are refused; --overwrite starts over", async () => {
    const changed = await readFile(join(folder, "train.csv"), "utf8");
    await writeFile(join(folder, "train.csv"), `${changed}w1 w20,class 1\n`);
    const { code, stderr } = await compare(args);
    expect(code).toBe(1);
    expect(stderr).toMatch(/all: expected a comparison on the same data, got another[\s\S]*--overwrite/);
    const probe = ["--methods", "linear-probe", "--seeds", "1", "-o", "all"];
    expect((await compare([...probe, "--overwrite"])).code).toBe(0);
    expect(read("all").variants).toHaveLength(1);
    expect(readdirSync(join(folder, "all/trials"))).toHaveLength(1);
    await writeFile(join(folder, "train.csv"), changed);
  });
});

test("failed runs are made again when asked, and all failing is a failure", async () => {
  const args = ["--methods", "bitfit", "--seeds", "1", "-o", "failing", "--set", "training.maxLength=49"];
  const first = await compare(args);
  expect(first.code).toBe(1);
  expect(first.stdout).toMatch(/bitfit, seed 11 +failed +SEQUENCE_TOO_LONG/);
  const { id } = read("failing").variants[0]!.runs[0]!;
  const result = join(folder, "failing/trials", id, "result.json");
  const { mtimeMs } = statSync(result);
  await compare(args);
  expect(statSync(result).mtimeMs).toBe(mtimeMs);
  await compare([...args, "--retry"]);
  expect(statSync(result).mtimeMs).toBeGreaterThan(mtimeMs);
});

test("an interrupted comparison says how to go on, and does", async () => {
  const args = ["--preset", "shots", "--values", "2", "4", "--seeds", "2", "-o", "few"];
  const stopped = await compare(args, {
    onStart(child) {
      child.stdout!.once("data", () => child.kill("SIGINT"));
    },
  });
  expect(stopped.code).toBe(130);
  expect(stopped.stderr).toMatch(/\d of 4 runs are done\. Go on with the same command\./);
  const { code, stdout } = await compare([...args, "--json"]);
  expect(code).toBe(0);
  expect(ends(stdout)).toHaveLength(4);
  const { figure, variants } = read("few");
  expect(figure).toMatchObject({ shape: "lines", scale: "log" });
  expect(variants.map(({ name, at, runs }) => [name, at, runs.length])).toEqual([
    ["2", 2, 2],
    ["4", 4, 2],
  ]);
  const { id } = variants[1]!.runs[1]!;
  expect(readFileSync(join(folder, "few/trials", id, "trial.yaml"), "utf8")).toMatch(
    /sampleSeed: 12[\s\S]*shots: 4/,
  );
});

test("a dry run lists what would run", async () => {
  const { code, stdout } = await compare(["--preset", "depth", "--dry-run"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /Prompt depth: train \(test accuracy\)[\s\S]*first 1 +11\nlast 1 +11\nall 2 +11\n3 runs/,
  );
  expect((await compare(["--preset", "depht"])).code).toBe(2);
  const wrong = await compare(["--methods", "p-tuning-v3", "--dry-run"]);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("p-tuning-v2") });
  const numbers = await compare(["--seeds", "x", "--dry-run"]);
  expect(numbers.stderr).toMatch(/--seeds: expected a whole number above 0, got "x"/);
});
