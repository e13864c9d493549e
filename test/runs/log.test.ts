/** A log as crashes and power cuts leave it: read, gone on with, and said. */
import { appendFile, cp, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
/** Events of the whole run, which was never disturbed. */
let whole: Record<string, unknown>[];

const events = async (run: string): Promise<Record<string, unknown>[]> =>
  (await readFile(join(folder, run, "events.jsonl"), "utf8")).split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line.replace(/^\0+/, ""))];
    } catch {
      return [];
    }
  });
const losses = (all: Record<string, unknown>[]): unknown[] =>
  all.filter((event) => event?.type === "step").map(({ loss }) => loss);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-log-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(96, 1));
  const args = (run: string) => [
    ...[
      "train",
      join(folder, "train.csv"),
      "--backbone",
      tinyFolder,
      "--prompt-length",
      "3",
      "--epochs",
      "4",
    ],
    ...["-o", join(folder, run), "--set", "report={html: true, tensorboard: false}", "--threads", "1"],
    ...["--set", "data.devShare=0.1"],
    ...["--precision", "fp32"],
  ];
  expect((await ptuning(args("whole"))).code).toBe(0);
  whole = await events("whole");
  // Stopped behind its second evaluation.
  const { code } = await ptuning(args("stopped"), {
    onStart(child) {
      const timer = setInterval(async () => {
        const all = await events("stopped").catch(() => []);
        if (all.filter(({ type }) => type === "evaluation").length < 2 && child.exitCode === null) return;
        clearInterval(timer);
        child.kill("SIGTERM");
      }, 10);
    },
  });
  expect(code).toBe(143);
});
afterAll(() => rm(folder, { recursive: true }));

const middle = async (path: string, replace: (line: string) => string): Promise<void> => {
  const lines = (await readFile(path, "utf8")).split("\n");
  // The line of the third update.
  lines[3] = replace(lines[3]!);
  await writeFile(path, lines.join("\n"));
};

test.each<[string, (path: string) => Promise<void>, warning: RegExp | undefined]>([
  ["half a line at the end", (path) => appendFile(path, '{"type":"step","st'), undefined],
  ["zeros at the end", (path) => appendFile(path, Buffer.alloc(5000)), undefined],
  ["null at the end", (path) => appendFile(path, "null\n"), undefined],
  [
    "an end of line that was lost",
    async (path) => truncate(path, (await readFile(path)).length - 1),
    undefined,
  ],
  [
    "garbage in the middle",
    (path) => middle(path, (line) => `\u0001%%\n${line}`),
    /1 line could not be read/,
  ],
  ["null in the middle", (path) => middle(path, (line) => `null\n${line}`), /1 line could not be read/],
  ["zeros in front of an event", (path) => middle(path, (line) => "\0".repeat(300) + line), undefined],
  ["an update that was overwritten", (path) => middle(path, () => "[1, 2"), /1 of \d+ updates are not in it/],
  [
    "an update without its number",
    (path) => middle(path, () => '{"type":"step"}'),
    /1 of \d+ updates are not in it/,
  ],
  ["nothing at all", (path) => truncate(path, 0), /(\d+) of \1 updates are not in it/],
])("a run goes on with a log that has %s", async (name, damage, warning) => {
  const run = name.replaceAll(" ", "-");
  await cp(join(folder, "stopped"), join(folder, run), { recursive: true });
  await damage(join(folder, run, "events.jsonl"));
  const { code, stderr } = await ptuning(["train", "--resume", join(folder, run)]);
  expect({ code, defect: /defect/.test(stderr) }).toEqual({ code: 0, defect: false });
  if (warning) expect(stderr).toMatch(warning);
  else expect(stderr).not.toMatch(/events\.jsonl/);
  const logged = losses(await events(run));
  // What is there is right, and every line but the damaged ones is an event.
  expect(losses(whole).slice(-3)).toEqual(logged.slice(-3));
  if (!warning?.source.includes("updates")) expect(logged).toEqual(losses(whole));
  const page = await readFile(join(folder, run, "report.html"), "utf8");
  const told = /could not be read|updates are not in it/;
  if (warning) expect(page).toMatch(told);
  else expect(page).not.toMatch(told);
});
