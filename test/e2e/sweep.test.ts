/** A sweep as users meet it, and one that is killed again and again. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatConfig, parseConfig } from "ptuning/internal/config";
import { Rng } from "ptuning/internal/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { gridFlags, loggedSteps, tinyConfig, until, watchRuns } from "../support/trials.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-sweep-"));
  const config = await tinyConfig(folder);
  await writeFile(join(folder, "run.yaml"), formatConfig(config));
});
afterAll(() => rm(folder, { recursive: true }));

const run = (
  args: readonly string[],
  onStart = (_: { kill(signal: "SIGKILL" | "SIGINT"): void }): void => {},
) => ptuning(["sweep", ...args], { cwd: folder, onStart });
const linesOf = ({ stdout }: CliResult): { type: string; [key: string]: unknown }[] =>
  stdout
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line));
const results = (sweep: string): string[] => {
  const trials = join(folder, sweep, "trials");
  const ids = existsSync(trials) ? readdirSync(trials) : [];
  return ids.filter((id) => existsSync(join(trials, id, "result.json")));
};

test("halving over a range: the best configuration, a map, what mattered, and a second call that runs nothing", async () => {
  const args = [
    "run.yaml",
    ...["--log-uniform", "training.learningRate=1e-3,1e-1", "--uniform", "method.promptLength=2,6,1"],
    ...["--halving", "1,2,2", "--runs", "6", "--workers", "2", "-o", "halving"],
  ];
  const { code, stdout, stderr } = await run(args);
  expect(stderr).not.toMatch(/error|defect/);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /halving over method\.promptLength, training\.learningRate, training\.epochs, 6 trials/,
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: piped output must be free of escape sequences
  expect(stdout + stderr).not.toMatch(/\u001b|\r/);
  const report = JSON.parse(await readFile(join(folder, "halving/results.json"), "utf8"));
  expect(report.trials).toHaveLength(6);
  const best = report.trials.find(({ id }: { id: string }) => id === report.ranking[0]);
  expect(best.values["training.epochs"]).toBe("2");
  const config = parseConfig({ text: await readFile(join(folder, "halving/best.yaml"), "utf8") });
  expect(config.training).toMatchObject({ epochs: 2, batchSize: 8 });
  expect(config.search).toBeUndefined();
  expect(await readFile(join(folder, "halving/heat-map.svg"), "utf8")).toMatch(/^<svg[\s\S]*promptLength/);
  expect(await readFile(join(folder, "halving/report.html"), "utf8")).toMatch(/Importance of keys/);
  expect(await readFile(join(folder, "halving/results.md"), "utf8")).toMatch(
    /\| training\.learningRate \| 4 \|/,
  );
  const again = await run([...args, "--json"]);
  const done = linesOf(again).filter(({ type }) => type === "trial-done");
  expect(done).toHaveLength(6);
  expect(done.filter(({ ran }) => ran)).toEqual([]);
}, 300_000);

test("mistakes are found before anything runs, and a sweep of something else is left alone", async () => {
  const refused = async (args: string[]): Promise<string> => {
    const { code, stderr } = await run(args);
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refused(["run.yaml"])).toMatch(/expected keys to search, got none/);
  for (const [flags, message] of [
    [["--grid", "training.seed=1,x"], /error: --grid training\.seed=1,x: training\.seed: expected/],
    [["--grid", "training.lr=1,2"], /error: --grid training\.lr=1,2: training\.lr: unknown key/],
    [["--grid", "training=1"], /error: --grid training=1: training: expected object, got 1/],
    [["--grid", "__proto__.x=1"], /error: --grid __proto__\.x=1: the key "__proto__" is not allowed/],
    [
      ["--uniform", "training.epochs=-1,3", "--runs", "2"],
      /error: --uniform training\.epochs=-1,3: training\.epochs: /,
    ],
    [
      ["--set", "search.space={training.epochs: [1, x]}"],
      /error: search\.space\.training\.epochs: training\.epochs: /,
    ],
    [
      ["--grid", "training.epochs=1,2", "--grid", "training.patience=x"],
      /error: --grid training\.patience=x: /,
    ],
    [
      ["--grid", "training.epochs=1,2", "--grid", "method.name=bitfit,x"],
      /error: --grid training\.epochs=1,2 --grid method\.name=bitfit,x: method\.promptLength: a key of .* not of bitfit/,
    ],
  ] as const)
    expect(await refused(["run.yaml", ...flags])).toMatch(message);
  expect(await refused(["run.yaml", "--grid", "constructor.x=1,2"])).toMatch(/unknown key/);
  expect(await refused(["run.yaml", "--log-uniform", "training.learningRate=1e-3,1e-1"])).toMatch(
    /runs or minutes/,
  );
  expect(readdirSync(folder)).not.toContain("sweeps");
  const other = ["run.yaml", "--grid", "training.seed=1,2", "-o", "halving", "--set", "training.batchSize=4"];
  expect(await refused(other)).toMatch(/halving: expected no sweep there, got one of another configuration/);
  await writeFile(join(folder, "other.csv"), await readFile(join(folder, "test.csv"), "utf8"));
  const text = (await readFile(join(folder, "halving/sweep.yaml"), "utf8")).replace("train.csv", "other.csv");
  await writeFile(join(folder, "halving/sweep.yaml"), text);
  expect(await refused(["--resume", "halving"])).toMatch(
    /expected the data and the backbone that the sweep began with/,
  );
}, 120_000);

test("Ctrl-C stops after the current steps and says how to go on", async () => {
  const { code, stderr } = await run(
    ["run.yaml", "--grid", "training.seed=1,2,3", "--set", "training.epochs=40", "-o", "stopped"],
    (child) =>
      void until(() => readdirSync(folder).includes("stopped")).then(() =>
        setTimeout(() => child.kill("SIGINT"), 2500),
      ),
  );
  expect(code).toBe(130);
  expect(stderr).toMatch(/ptuning sweep --resume stopped/);
}, 120_000);

test("24 trials, killed three times at random moments: 24 results, none run twice to the end", async () => {
  const rng = new Rng(7);
  const args = [
    "run.yaml",
    ...gridFlags,
    "--set",
    "training.epochs=6",
    "--workers",
    "2",
    "-o",
    "killed",
    "--json",
  ];
  const trials = join(folder, "killed/trials");
  const watch = watchRuns(trials);
  for (const atLeast of [3, 9, 15]) {
    const { signal } = await run(args, (child) => {
      const kill = (): void => child.kill("SIGKILL");
      void until(() => results("killed").length >= atLeast).then(() => setTimeout(kill, rng.integer(700)));
    });
    expect(signal).toBe("SIGKILL");
  }
  const before = results("killed");
  expect(before.length).toBeLessThan(24);
  const last = await run(args);
  watch.stop();
  expect(last.code).toBe(0);
  const done = linesOf(last).filter(({ type }) => type === "trial-done");
  expect(done).toHaveLength(24);
  const old = done.filter(({ ran }) => !ran).map(({ trial }) => trial);
  expect(new Set(old)).toEqual(new Set(before));
  expect(results("killed")).toHaveLength(24);
  expect([...watch.seen.values()].map((files) => files.size)).toEqual(Array(24).fill(1));
  for (const id of readdirSync(trials)) {
    expect(readdirSync(join(trials, id)).sort()).toEqual(["result.json", "run", "trial.yaml"]);
    expect(JSON.parse(readFileSync(join(trials, id, "result.json"), "utf8"))).toMatchObject({
      status: "finished",
      steps: 108,
    });
    expect(loggedSteps(join(trials, id, "run"))).toEqual(Array.from({ length: 108 }, (_, i) => i + 1));
  }
}, 600_000);
