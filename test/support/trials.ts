/** A configuration whose trials take a second each, and what a folder of trials says of them. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseConfig, type RunConfig } from "ptuning/internal/config";
import { limit } from "./limits.ts";
import { tinyCsv, tinyFolder } from "./tiny.ts";

/** Writes data files into a folder. @returns a run of a few hundred quick steps on them */
export async function tinyConfig(folder: string, examples = 160): Promise<RunConfig> {
  await writeFile(join(folder, "train.csv"), tinyCsv(examples, 1));
  await writeFile(join(folder, "test.csv"), tinyCsv(48, 2));
  return parseConfig({
    text: JSON.stringify({
      backbone: tinyFolder,
      data: { train: join(folder, "train.csv"), test: join(folder, "test.csv") },
      method: { promptLength: 3 },
      training: {
        epochs: 2,
        batchSize: 8,
        maxLength: 16,
        precision: "fp32",
        learningRate: 3e-2,
        checkpointSeconds: 0.05,
      },
      report: { html: false, tensorboard: false },
    }),
  });
}

/** Which file is the result of each finished run, by trial: a run that came to its end twice has had two. */
export function finishedRuns(trials: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const id of existsSync(trials) ? readdirSync(trials) : []) {
    const runs = readdirSync(join(trials, id)).filter((name) => name.startsWith("run"));
    for (const run of runs) {
      const status = statSync(join(trials, id, run, "result.json"), { throwIfNoEntry: false });
      if (status) found.set(`${id}/${run}`, `${status.ino} ${status.mtimeMs}`);
    }
  }
  return found;
}

/** Numbers of the logged steps of a run. */
export function loggedSteps(run: string): number[] {
  return readFileSync(join(run, "events.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === "step")
    .map(({ step }) => step);
}

/** Watches a folder of trials: every file that ever was the result of a run, by run. */
export function watchRuns(trials: string): { seen: Map<string, Set<string>>; stop(): void } {
  const seen = new Map<string, Set<string>>();
  const look = (): void => {
    for (const [run, file] of finishedRuns(trials)) seen.set(run, (seen.get(run) ?? new Set()).add(file));
  };
  const timer = setInterval(look, 20);
  return {
    seen,
    stop() {
      clearInterval(timer);
      look();
    },
  };
}

/** Waits for something, looking often. */
export async function until(holds: () => boolean, timeoutMs: number = limit(60_000)): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; !holds(); ) {
    if (Date.now() > deadline) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The grid of 24 short trials that the tests of sweeps search. */
export const gridFlags: readonly string[] = [
  ...["--grid", "training.learningRate=3e-3,1e-2,3e-2,1e-1"],
  ...["--grid", "method.promptLength=2,3,4"],
  ...["--grid", "training.seed=1,2"],
];
