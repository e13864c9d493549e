/** Runs that are stopped from outside, and runs that meet, on the real command line. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-signals-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(120, 1));
});
afterAll(() => rm(folder, { recursive: true }));

const long =
  `train train.csv --backbone ${tinyFolder} --precision fp32 --batch-size 8 --max-length 16 --threads 1 --epochs 400 --set data.devShare=0.1 --json`.split(
    " ",
  );

/** Sends the signal after six updates. @returns how the process ended, and the numbers of the updates that it made */
async function interrupt(signal: NodeJS.Signals, args: readonly string[]) {
  const result = await ptuning(args, {
    cwd: folder,
    onStart(child) {
      let seen = 0;
      child.stdout!.on("data", (text: string) => {
        const before = seen;
        seen += text.split('"type":"step"').length - 1;
        if (before <= 5 && seen > 5) child.kill(signal);
      });
    },
  });
  const events = result.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { ...result, steps: events.filter(({ type }) => type === "step").map(({ step }) => step as number) };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s ends cleanly, says how to go on, and going on works", async (signal, expected) => {
  const output = `runs/${signal}`;
  const { code, stderr, steps } = await interrupt(signal, [...long, "-o", output]);
  expect(code).toBe(expected);
  expect(stderr).toContain(`Go on with: ptuning train --resume ${output}`);
  expect((await readdir(join(folder, output))).sort()).toEqual([
    "config.yaml",
    "events.jsonl",
    "report.html",
    "state.safetensors",
    "tensorboard",
  ]);
  const { stdout } = await ptuning(["inspect", output], { cwd: folder });
  expect(stdout).toMatch(/state +unfinished/);

  const more = await interrupt(signal, ["train", "--resume", output, "--json"]);
  expect(more.code).toBe(expected);
  expect(more.steps[0]).toBe(steps.at(-1)! + 1);
});

test("two processes cannot use one run folder", async () => {
  let second: Promise<CliResult> | undefined;
  await ptuning([...long, "-o", "runs/locked"], {
    cwd: folder,
    onStart(child) {
      child.stdout!.on("data", (chunk: Buffer) => {
        if (second !== undefined || !chunk.includes('"type":"step"')) return;
        second = ptuning(["train", "--resume", "runs/locked"], { cwd: folder }).finally(() =>
          child.kill("SIGINT"),
        );
      });
    },
  });
  expect(await second).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/run folder runs\/locked: in use by process \d+/),
  });
});
