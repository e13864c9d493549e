/** A run that is killed again and again ends as if nothing had happened. */
import { readFileSync, statSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Rng } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

const kills = 30;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-kill-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(1600, 1));
});
afterAll(() => rm(folder, { recursive: true }));

const start = (output: string): string[] => [
  ...[
    "train",
    "train.csv",
    "--backbone",
    tinyFolder,
    "--precision",
    "fp32",
    "--threads",
    "1",
    "--epochs",
    "20",
  ],
  ...["--batch-size", "4", "--prompt-length", "3", "--max-length", "16", "-o", output],
  ...["--set", "data.devShare=0.1"],
  ...["--set", "training.checkpointSeconds=0.05", "--set", "training.evaluateEvery=1000"],
];

/** Losses by step, from the log. */
function losses(run: string): number[] {
  const events = readFileSync(join(folder, run, "events.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const steps = events.filter(({ type }) => type === "step");
  expect(steps.map(({ step }) => step)).toEqual(steps.map((_, i) => i + 1));
  return steps.map(({ loss }) => loss);
}

test(`killed ${kills} times at random moments and resumed: the same losses and adapter, to the bit`, async () => {
  expect((await ptuning(start("whole"), { cwd: folder })).code).toBe(0);
  const rng = new Rng(42);
  let done = 0;
  let first = true;
  for (let attempt = 0; done < kills && attempt < 5 * kills; attempt++) {
    const args = first ? start("killed") : ["train", "--resume", "killed"];
    const { signal, code, stderr } = await ptuning(args, {
      cwd: folder,
      onStart(child) {
        // Wait until it writes its log, then anything up to half a second.
        const log = join(folder, "killed/events.jsonl");
        const size = (): number => statSync(log, { throwIfNoEntry: false })?.size ?? 0;
        const before = size();
        const timer = setInterval(() => {
          if (size() <= before) return;
          clearInterval(timer);
          setTimeout(() => child.kill("SIGKILL"), rng.integer(300));
        }, 5);
        child.on("exit", () => clearInterval(timer));
      },
    });
    first = false;
    if (signal === "SIGKILL") done++;
    else {
      // It came to its end before the kill: fewer kills than wanted would be a weaker test.
      expect(stderr).toBe("");
      expect(code).toBe(0);
      break;
    }
  }
  expect(done).toBe(kills);
  expect((await ptuning(["train", "--resume", "killed"], { cwd: folder })).code).toBe(0);
  expect(losses("killed")).toEqual(losses("whole"));
  const [killed, whole] = await Promise.all(
    ["killed", "whole"].map((run) => readSafetensors(join(folder, run, "adapter/adapter_model.safetensors"))),
  );
  expect(killed).toEqual(whole);
  const scores = async (run: string): Promise<unknown> =>
    JSON.parse(await readFile(join(folder, run, "result.json"), "utf8")).best;
  expect(await scores("killed")).toEqual(await scores("whole"));
}, 400_000);
