/** Commands that are asked to stop, hung up on, or not read any more. */
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { repository } from "../support/requirements.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-stop-"));
  writeFileSync(join(folder, "train.csv"), tinyCsv(96, 1));
});
afterAll(() => rm(folder, { recursive: true }));

const quiet = [
  "--set",
  "data.devShare=0.1",
  "--set",
  "report={html: false, tensorboard: false}",
  "--threads",
  "1",
  "--precision",
  "fp32",
];
const training = (output: string, ...more: string[]): string[] => [
  ...["train", join(folder, "train.csv"), "--backbone", tinyFolder, "--prompt-length", "3"],
  ...["-o", join(folder, output), ...quiet, ...more],
];

/** Runs a line of bash in which `$PTUNING` is the command line. */
function bash(line: string): Promise<CliResult> {
  return new Promise((resolve) => {
    const child = spawn("bash", ["-c", line], {
      cwd: folder,
      env: { ...process.env, PTUNING: `${process.execPath} ${repository}dist/cli/main.js` },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    child.on("close", (code, signal) => resolve({ code, signal, ...output }));
  });
}

const quoted = (args: readonly string[]): string => args.map((arg) => `'${arg}'`).join(" ");

/** Sends a signal as soon as the log of the run has a new step. */
function signalAt(output: string, signal: NodeJS.Signals) {
  const steps = async (): Promise<number> => {
    const log = await readFile(join(folder, output, "events.jsonl"), "utf8").catch(() => "");
    return log.split('"step"').length;
  };
  return async (child: { kill(signal: NodeJS.Signals): boolean; readonly exitCode: number | null }) => {
    const before = await steps();
    const timer = setInterval(async () => {
      if ((await steps()) <= before) return;
      clearInterval(timer);
      child.kill(signal);
    }, 20);
  };
}

describe("training", () => {
  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("stops at %s, and goes on", async (signal, code) => {
    const run = `run-${signal}`;
    const many = ["--epochs", "500"];
    const stopped = await ptuning(training(run, ...many), { onStart: signalAt(run, signal) });
    expect({ code: stopped.code, signal: stopped.signal }).toEqual({ code, signal: null });
    expect(stopped.stderr).toMatch(/Stopped at step \d+\. Go on with/);
    const files = await readdir(join(folder, run));
    expect(files.sort()).toEqual(["config.yaml", "events.jsonl", "state.safetensors"]);
    const again = await ptuning(["train", "--resume", join(folder, run)], { onStart: signalAt(run, signal) });
    expect(again.code).toBe(code);
  });

  test.each(["| head -1", "2>&1 | head -1", "> >(head -c 10)"])(
    "goes on to its end when nobody reads it: %s",
    async (pipe) => {
      const run = `piped-${pipe.length}`;
      const { stderr } = await bash(
        `$PTUNING ${quoted(training(run, "--epochs", "3", "--json"))} ${pipe}; wait`,
      );
      expect(stderr).not.toMatch(/defect|error/);
      for (let i = 0; i < 600 && !existsSync(join(folder, run, "result.json")); i++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      expect((await readdir(join(folder, run))).sort()).toEqual(
        ["adapter", "config.yaml", "events.jsonl", "result.json"].sort(),
      );
    },
  );

  test("goes on when it is hung up on under nohup", async () => {
    const run = "nohup";
    const command = `nohup $PTUNING ${quoted(training(run, "--epochs", "60"))} > out.txt 2>&1`;
    const { code } = await bash(`
      ${command} & pid=$!
      until grep -q '"step"' ${run}/events.jsonl 2> /dev/null; do sleep 0.05; done
      kill -HUP $pid; sleep 0.2; kill -HUP $pid
      wait $pid`);
    expect(code).toBe(0);
    expect(existsSync(join(folder, run, "result.json"))).toBe(true);
  });
});

test("predictions stop where nobody reads them", async () => {
  const run = "for-prediction";
  expect((await ptuning(training(run, "--epochs", "1"))).code).toBe(0);
  const adapter = quoted([join(folder, run), "--backbone", tinyFolder, "--input", join(folder, "train.csv")]);
  const { stdout, stderr, code } = await bash(
    `set -o pipefail; $PTUNING predict ${adapter} --json | head -1`,
  );
  expect(stdout.trim().split("\n")).toHaveLength(1);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
});
