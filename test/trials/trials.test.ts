/** Trials: one result each, whatever is killed on the way. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RunConfig } from "ptuning/internal/config";
import { readRunResult } from "ptuning/internal/runs";
import {
  defaultWorkers,
  defineTrial,
  objective,
  readTrialResult,
  runTrial,
  runTrials,
  type Trial,
  type TrialEvent,
  type TrialResult,
  writeTrialResult,
} from "ptuning/internal/trials";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { repository } from "../support/requirements.ts";
import { finishedRuns, loggedSteps, tinyConfig } from "../support/trials.ts";

let folder: string;
let config: RunConfig;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-trials-"));
  config = await tinyConfig(folder);
});
afterAll(() => rm(folder, { recursive: true }));

async function all(events: AsyncIterable<TrialEvent>): Promise<TrialEvent[]> {
  const seen: TrialEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

/** Runs a trial; the first `most` of its processes are killed at their first step. */
async function runKilled(trial: Trial, at: string, most: number): Promise<TrialEvent[]> {
  const events: TrialEvent[] = [];
  let isDoomed = false;
  for await (const event of runTrials([trial], { folder: at, threads: 1 })) {
    events.push(event);
    if (event.type === "trial-start") isDoomed = --most >= 0;
    if (!isDoomed || event.type !== "trial-progress" || event.event.type !== "step") continue;
    isDoomed = false;
    process.kill(JSON.parse(await readFile(join(at, trial.id, "run/run.lock"), "utf8")).pid, "SIGKILL");
  }
  return events;
}

const long = (): Trial => defineTrial(config, { "training.epochs": 30, "training.evaluateEvery": 400 });

describe("the id of a trial", () => {
  test("is told from what decides the result, in any order of keys", () => {
    const one = defineTrial(config, { "training.learningRate": 0.1, "training.seed": 3 });
    const same = defineTrial(
      { ...config, output: "elsewhere", engine: { threads: 7 }, report: { html: true, tensorboard: true } },
      { "training.seed": 3, "training.learningRate": 0.1 },
    );
    expect(same.id).toBe(one.id);
    expect(one.id).toMatch(/^[0-9a-f]{12}$/);
    expect(one.config.training).toMatchObject({ learningRate: 0.1, seed: 3, batchSize: 8 });
    expect(config.training.seed).toBeUndefined();
    expect(defineTrial(config, { "training.seed": 4 }).id).not.toBe(one.id);
  });

  test("overrides are checked like any configuration", () => {
    expect(() => defineTrial(config, { "training.learningrate": 1 })).toThrow(/Did you mean "learningRate"/);
    expect(() => defineTrial(config, { "training.seed": "x" })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
    expect(() => defineTrial(config, { "__proto__.polluted": 1 })).toThrow(/not allowed/);
    expect(() => defineTrial(config, { method: JSON.parse('{"__proto__": {"a": 1}}') })).toThrow(
      /not allowed/,
    );
  });
});

test("cores are shared out", () => {
  expect([1, 2, 4, 8, 64].map(defaultWorkers)).toEqual([1, 1, 1, 2, 16]);
});

test("runs trials, records figures and errors, and runs nothing again", async () => {
  const trials = [
    defineTrial(config, { "training.learningRate": 1e-2 }),
    defineTrial(config, { "training.maxLength": 500 }),
    defineTrial(config, { method: { name: "linear-probe" } }),
    defineTrial(config, { "training.learningRate": 1e-2 }),
  ];
  const at = join(folder, "figures");
  const events = await all(runTrials(trials, { folder: at, workers: 2, threads: 1 }));
  const done = events.filter((event) => event.type === "trial-done");
  expect(done.map(({ trial }) => trial.id).sort()).toEqual(trials.map(({ id }) => id).sort());
  expect(done.filter(({ ran }) => ran)).toHaveLength(3);
  const results = await Promise.all(trials.map(({ id }) => readTrialResult(join(at, id))));
  const [deep, tooLong, probe] = results;
  expect(tooLong).toMatchObject({ status: "failed", error: { code: "SEQUENCE_TOO_LONG", hint: /./ } });
  expect(objective(tooLong!)).toBeUndefined();
  const run = await readRunResult(join(at, trials[0]!.id, "run"));
  expect(deep).toMatchObject({
    status: "finished",
    overrides: { "training.learningRate": 1e-2 },
    selectBy: "accuracy",
    lowerIsBetter: false,
    dev: { ...run!.best!.scores, loss: run!.best!.loss },
    test: run!.test,
    trainable: { prompt: 384, head: 99 },
    trainableTotal: 483,
    epochs: 2,
    steps: 36,
    precision: "fp32",
    peakMemoryBytes: expect.any(Number),
  });
  if (deep?.status !== "finished" || probe?.status !== "finished") throw new Error("not finished");
  expect(probe.trainable).toEqual({ head: 99 });
  expect(objective(deep)).toBe(deep.dev!.accuracy);
  expect(deep.secondsPerEpoch).toBeGreaterThan(0);
  expect(deep.secondsToBest!).toBeLessThanOrEqual(deep.seconds);
  expect(2 * deep.secondsPerEpoch).toBeLessThan(deep.seconds);
  expect(deep.adapterBytes).toBeGreaterThan(4 * 483);
  expect(await readFile(join(at, trials[0]!.id, "run/config.yaml"), "utf8")).toMatch(/threads: 1/);
  const before = finishedRuns(at);
  const again = await all(runTrials(trials, { folder: at }));
  expect(again.map(({ type }) => type)).toEqual(Array(4).fill("trial-done"));
  expect(again.some((event) => event.type === "trial-done" && event.ran)).toBe(false);
  expect(finishedRuns(at)).toEqual(before);
});

/** Lets the processes of trials load a program first. */
async function preload(name: string, program: string): Promise<void> {
  const path = join(folder, `${name}.mjs`);
  await writeFile(path, `if (process.argv.includes("train")) {\n${program}\n}\n`);
  vi.stubEnv("NODE_OPTIONS", `--import=${path}`);
  onTestFinished(() => void vi.unstubAllEnvs());
}

test("a defect is told and not recorded: the trial runs when it is asked for again", async () => {
  const at = join(folder, "defect");
  const trial = defineTrial(config, { "training.epochs": 1 });
  await preload(
    "broken",
    `const { default: fs } = await import("node:fs");
    fs.createWriteStream = () => { throw new TypeError("it is broken"); };
    (await import("node:module")).syncBuiltinESMExports();`,
  );
  const events = await all(runTrials([trial], { folder: at, threads: 1 }));
  expect(events.at(-1)).toMatchObject({
    type: "trial-done",
    ran: true,
    result: { status: "failed", error: { code: "DEFECT", message: expect.stringContaining("it is broken") } },
  });
  expect(await readdir(join(at, trial.id))).not.toContain("result.json");
  expect(await readTrialResult(join(at, trial.id))).toBeUndefined();
  vi.unstubAllEnvs();
  const again = await all(runTrials([trial], { folder: at, threads: 1 }));
  expect(again.at(-1)).toMatchObject({ type: "trial-done", ran: true, result: { status: "finished" } });
  expect(await readTrialResult(join(at, trial.id))).toMatchObject({ status: "finished" });
});

test("a record of a defect that an earlier version left is none", async () => {
  const trial = defineTrial(config, { "training.epochs": 1, "training.seed": 9 });
  const home = join(folder, "left", trial.id);
  await mkdir(home, { recursive: true });
  const error = { code: "DEFECT", message: "it was broken" };
  const record = { id: trial.id, overrides: {}, run: "run", status: "failed", error };
  await writeTrialResult(home, record as TrialResult);
  expect(await readdir(home)).toEqual([]);
  await writeFile(join(home, "result.json"), JSON.stringify(record));
  expect(await readTrialResult(home)).toBeUndefined();
});

test("a trial that tells nothing for long is ended, for good", async () => {
  const at = join(folder, "silent");
  const trial = defineTrial(config, { "training.epochs": 1 });
  // As a pattern without an end: no signal is heard.
  await preload("silent", "for (;;);");
  const run = runTrial(trial, {
    folder: at,
    threads: 1,
    signal: new AbortController().signal,
    silenceMs: 1500,
  });
  const started = performance.now();
  const events = await all(run);
  expect(performance.now() - started).toBeGreaterThan(1400);
  const failure = {
    status: "failed",
    error: {
      code: "KILLED",
      message: "the process of the trial told nothing for 2 s, and was ended.",
      hint: expect.stringContaining("--silence-minutes"),
    },
  };
  expect(events.map(({ type }) => type)).toEqual(["trial-start", "trial-done"]);
  expect(events.at(-1)).toMatchObject({ result: failure });
  expect(await readTrialResult(join(at, trial.id))).toMatchObject(failure);
});

test("a trial whose process is killed goes on from its state, and fails after the third time", async () => {
  const at = join(folder, "killed");
  const trial = long();
  const events = await runKilled(trial, at, 2);
  expect(events.filter((event) => event.type === "trial-start").map(({ resumed }) => resumed)).toEqual([
    false,
    true,
    true,
  ]);
  expect(loggedSteps(join(at, trial.id, "run"))).toEqual(Array.from({ length: 540 }, (_, i) => i + 1));
  expect(events.at(-1)).toMatchObject({ type: "trial-done", result: { status: "finished", steps: 540 } });

  const often = join(folder, "killed-often");
  const failed = await runKilled(trial, often, 3);
  expect(failed.at(-1)).toMatchObject({ result: { status: "failed", error: { code: "KILLED" } } });
}, 120_000);

test("a trial that is told to stop goes on later; leaving the loop stops it too", async () => {
  const at = join(folder, "stopped");
  const trial = long();
  const stopping = new AbortController();
  const events: TrialEvent[] = [];
  for await (const event of runTrials([trial], { folder: at, threads: 1, signal: stopping.signal })) {
    events.push(event);
    if (event.type === "trial-progress" && event.event.type === "step") stopping.abort();
  }
  expect(events.at(-1)?.type).not.toBe("trial-done");
  expect(await readTrialResult(join(at, trial.id))).toBeUndefined();
  for await (const event of runTrials([trial], { folder: at, threads: 1 }))
    if (event.type === "trial-progress" && event.event.type === "step") break;
  const rest = await all(runTrials([trial], { folder: at, threads: 1 }));
  expect(rest[0]).toMatchObject({ type: "trial-start", resumed: true });
  expect(loggedSteps(join(at, trial.id, "run"))).toEqual(Array.from({ length: 540 }, (_, i) => i + 1));
}, 120_000);

test("the processes of trials end with the one that started them", async () => {
  const at = join(folder, "orphans");
  const trial = long();
  const program = join(folder, "parent.mjs");
  await writeFile(
    program,
    `import { runTrials } from ${JSON.stringify(`${repository}dist/trials/index.js`)};
    for await (const event of runTrials([${JSON.stringify(trial)}], { folder: ${JSON.stringify(at)}, threads: 1 }))
      if (event.type === "trial-progress" && event.event.type === "step") console.log(event.event.step);`,
  );
  const parent = spawn(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => parent.stdout.once("data", resolve));
  const { pid } = JSON.parse(await readFile(join(at, trial.id, "run/run.lock"), "utf8"));
  parent.kill("SIGKILL");
  const isRunning = (): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  for (let waited = 0; isRunning() && waited < 5000; waited += 20) await delay(20);
  expect(isRunning()).toBe(false);
  expect(await readTrialResult(join(at, trial.id))).toBeUndefined();
}, 120_000);

test("the saved state of a machine that is gone is copied, and the trial goes on with the copy", async () => {
  const at = join(folder, "gone");
  const trial = long();
  for await (const event of runTrials([trial], { folder: at, threads: 1 }))
    if (event.type === "trial-progress" && event.event.type === "evaluation") break;
  const run = join(at, trial.id, "run");
  await writeFile(
    join(run, "run.lock"),
    JSON.stringify({ pid: 1, host: "gone", processStart: "", since: "" }),
  );
  const { signal } = new AbortController();
  const events = await all(runTrial(trial, { folder: at, threads: 1, signal, lockWaitMs: 300 }));
  const starts = events.filter((event) => event.type === "trial-start");
  expect(starts.every(({ resumed }) => resumed)).toBe(true);
  expect(events.at(-1)).toMatchObject({ type: "trial-done", result: { status: "finished", run: "run-2" } });
  expect(loggedSteps(`${run}-2`)).toEqual(Array.from({ length: 540 }, (_, i) => i + 1));
  expect(await readRunResult(run)).toBeUndefined();
}, 120_000);
