/** Several tasks on one prompt, as users train and use them. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAdapter } from "ptuning/internal/adapters";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliOptions, type CliResult, ptuning } from "../support/cli.ts";
import { wordFamilies } from "../support/families.ts";
import { tinyExamples, tinyFolder } from "../support/tiny.ts";

let folder: string;
const run = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  ptuning(args, { cwd: folder, ...options, env: { HF_HUB_OFFLINE: "1" } });

const csv = (count: number, seed: number): string =>
  ["text,label", ...tinyExamples(count, seed).map(({ text, label }) => `${text},${label}`)].join("\n");
const jsonl = (count: number, seed: number): string =>
  wordFamilies[0]!
    .make(count, seed)
    .map((example) => JSON.stringify(example))
    .join("\n");

const config = `
backbone: ${tinyFolder}
tasks:
  texts:
    data: { train: texts.csv, test: texts-test.csv }
  entities:
    data: { train: entities.jsonl, test: entities-test.jsonl }
    weight: 2
method: { promptLength: 3, initScale: 0.5 }
training:
  epochs: 8
  batchSize: 8
  learningRate: 0.03
  maxLength: 16
  precision: fp32
  checkpointSeconds: 0.05
engine: { threads: 1 }
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-multi-cli-"));
  const files = {
    "texts.csv": csv(120, 1),
    "texts-test.csv": csv(40, 2),
    "entities.jsonl": jsonl(100, 1),
    "entities-test.jsonl": jsonl(40, 2),
    "multi.yaml": config,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), `${text}\n`);
});
afterAll(() => rm(folder, { recursive: true }));

interface Result {
  readonly test: Readonly<Record<string, number>>;
  readonly best: unknown;
  readonly baselines: unknown;
}

const json = async (path: string): Promise<Result> => JSON.parse(await readFile(join(folder, path), "utf8"));

test("one command trains them, scores each on its test data, and writes one folder", async () => {
  const { code, stdout, stderr } = await run([
    "train",
    "multi.yaml",
    "-o",
    "whole",
    "--split",
    "--baselines",
  ]);
  expect(stderr).not.toMatch(/error|defect|at .*\.js/);
  expect(code).toBe(0);
  expect(stdout).toMatch(/prompt 384, texts\/head 99, entities\/head 165/);
  // 14 + 12 batches in proportion to 14 and 2 · 12.
  expect(stdout).toMatch(/texts: text-classification, 108 train, 12 dev, \d+ steps, by accuracy/);
  expect(stdout).toMatch(/entities: token-classification, 90 train, 10 dev, \d+ steps, by f1/);
  expect(stdout).toMatch(/epoch +step +train loss +dev loss +mean +texts\/accuracy +entities\/f1 +time/);
  expect(stdout).toMatch(/ptuning predict whole\/adapter --head texts --backbone \S+ 'a text of your own'/);
  const { test: scores, baselines } = await json("whole/result.json");
  expect(scores.mean).toBeCloseTo((scores["texts/accuracy"]! + scores["entities/f1"]!) / 2, 12);
  expect(scores["texts/accuracy"]).toBeGreaterThan(0.6);
  expect(scores["entities/f1"]).toBeGreaterThan(0.6);
  expect(JSON.stringify(baselines)).toMatch(/"majority class","scores":\{"mean":[^}]*"texts\/accuracy"/);
  expect((await readdir(join(folder, "whole"))).sort()).toEqual([
    ...["adapter", "adapters", "config.yaml", "events.jsonl", "report.html", "result.json", "tensorboard"],
  ]);
  const report = await readFile(join(folder, "whole/report.html"), "utf8");
  for (const part of ["Dev examples of texts", "Dev examples of entities", "Data of texts", "task entities"])
    expect(report.toLowerCase()).toContain(part.toLowerCase());
  expect(report).toMatch(/entities: test/);
  const events = (await readFile(join(folder, "whole/events.jsonl"), "utf8")).trim().split("\n");
  expect(events.filter((line) => line.includes('"task":"entities"')).length).toBeGreaterThan(50);
}, 120_000);

test("stopped and resumed it ends the same to the bit", async () => {
  const stopped = await run(["train", "multi.yaml", "-o", "stopped"], {
    onStart(child) {
      child.stdout!.on("data", (text: string) => {
        if (/^ +2 +\d+/m.test(text)) child.kill("SIGKILL");
      });
    },
  });
  expect(stopped.signal).toBe("SIGKILL");
  expect(await run(["train", "--resume", "stopped"])).toMatchObject({ code: 0 });
  const [whole, again] = await Promise.all(
    ["whole", "stopped"].map((name) => loadAdapter(join(folder, name, "adapter"), { head: "entities" })),
  );
  expect(again!.params).toEqual(whole!.params);
  expect((await json("stopped/result.json")).best).toEqual((await json("whole/result.json")).best);
}, 120_000);

test("predict and evaluate take a head by its name, and list the heads without one", async () => {
  const fp32 = ["--precision", "fp32", "--backbone", tinyFolder];
  const { test: scores } = await json("whole/result.json");
  for (const [head, score, data] of [
    ["texts", "accuracy", "texts-test.csv"],
    ["entities", "f1", "entities-test.jsonl"],
  ] as const) {
    const { stdout } = await run(["evaluate", "whole", data, "--head", head, "--json", ...fp32]);
    expect(JSON.parse(stdout).scores[score]).toBe(scores[`${head}/${score}`]);
  }
  const predicted = await run(["predict", "whole", "w1 w20", "--head", "texts", "--json", ...fp32]);
  expect(JSON.parse(predicted.stdout)).toMatchObject({ text: "w1 w20", label: expect.any(String) });
  for (const head of [[], ["--head", "text"]]) {
    const refused = await run(["predict", "whole", "w1", ...head, ...fp32]);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/head: expected one of texts, entities, got/),
    });
  }
  const split = await run(["predict", "whole/adapters/texts", "w1 w20", "--json", ...fp32]);
  expect(split.stdout).toBe(predicted.stdout);
  const { stdout } = await run(["inspect", "whole", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    kind: "multi-task adapter",
    heads: { entities: { task: "token-classification", parameters: "165" } },
  });
});

test("a task trains on alone from what they learnt together", async () => {
  const base = ["train", "texts.csv", "--backbone", tinyFolder, "--precision", "fp32", "--max-length", "16"];
  const args = [...base, "--prompt-length", "3", "--epochs", "1", "--start-from", "whole", "-o", "alone"];
  const refused = await run([...args, "--start-head", "keep"]);
  expect(refused.stderr).toMatch(/start.head: expected one head, got the heads texts, entities\./);
  const kept = [...args, "--overwrite", "--start-head", "keep", "--start-task", "texts"];
  expect(await run(kept)).toMatchObject({ code: 0 });
});

test("report makes the page anew; check-data looks at each task", async () => {
  await rm(join(folder, "whole/report.html"));
  expect(await run(["report", "whole"])).toMatchObject({ code: 0, stderr: "" });
  expect(await readFile(join(folder, "whole/report.html"), "utf8")).toContain("Dev examples of entities");
  const { stdout } = await run(["check-data", "whole", "--json"]);
  const lines = stdout.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line)).map(({ type, task }) => `${type} ${task}`)).toEqual([
    "data texts",
    "data-checks texts",
    "data entities",
    "data-checks entities",
  ]);
});

test("mistakes are named with their place", async () => {
  const wrong = async (from: string, to: string, ...args: string[]): Promise<string> => {
    await writeFile(join(folder, "wrong.yaml"), config.replace(from, to));
    return (await run(["train", "wrong.yaml", "-o", "wrong", "--overwrite", ...args])).stderr;
  };
  expect(await wrong("weight: 2", "wieght: 2")).toMatch(
    /wrong.yaml:8: tasks.entities.wieght: unknown key. Did you mean "weight"\?/,
  );
  expect(await wrong("test: texts-test.csv", "tset: texts-test.csv")).toMatch(
    /wrong.yaml:5: tasks.texts.data.tset: unknown key. Did you mean "test"\?/,
  );
  expect(await wrong("epochs: 8", "epochs: 0")).toMatch(/wrong.yaml:11: training.epochs: expected/);
  expect(await wrong("weight: 2", "selectBy: f2")).toMatch(/tasks.entities.selectBy: expected one of f1/);
  expect(await wrong("", "", "--data", "texts.csv")).toMatch(/command line: data: unknown key/);
  const set = ["--set", "training.sampling=round-robin"];
  expect(await wrong("", "", ...set)).toMatch(/tasks.entities.weight: expected none, as tasks take turns/);
});
