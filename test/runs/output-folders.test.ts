/** Output folders: nothing of the user's is deleted, and of two runs one is there, whole. */
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

let folder: string;
/** A finished run with the seed 1. */
let finished: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-output-"));
  await writeFile(join(folder, "train.csv"), tinyCsv(96, 1));
  finished = join(folder, "finished");
  expect(await train("finished", ["--seed", "1"])).toMatchObject({ code: 0 });
}, 60_000);
afterAll(() => rm(folder, { recursive: true }));

const settings = [
  ...["--backbone", tinyFolder, "--precision", "fp32", "--threads", "1", "--epochs", "2"],
  ...["--set", "data.devShare=0.1"],
  ...["--batch-size", "16", "--prompt-length", "3", "--max-length", "16"],
];

function train(output: string, more: readonly string[] = []): Promise<CliResult> {
  return ptuning(["train", join(folder, "train.csv"), ...settings, "-o", output, ...more], { cwd: folder });
}

/** Every file of a folder with its content. */
async function snapshot(path: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of (await readdir(path, { recursive: true })).sort()) {
    const place = join(path, name);
    files[name] = (await stat(place)).isFile() ? await readFile(place, "latin1") : "a folder";
  }
  return files;
}

const seedOf = async (run: string): Promise<number> =>
  Number(/seed: (\d+)/.exec(await readFile(join(run, "config.yaml"), "utf8"))?.[1]);

describe("a folder that is the user's", () => {
  const projects: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "with names of ours": {
      "adapter/mine.bin": "1",
      "report.html": "my page",
      "result.json": "{}",
      "events.jsonl": '{"type":"click"}\n',
    },
    "with one file": { "notes.md": "mine" },
    "with a hidden file": { ".env": "SECRET=1" },
    "with a configuration": { "config.yaml": "data:\n  train: train.csv\n", "train.csv": "text,label\n" },
    "with a configuration and a log of another program": {
      "config.yaml": "data:\n  train: train.csv\n",
      "events.jsonl": '{"type":"start","user":1}\n',
      "adapter/power.txt": "usb-c",
    },
    "with names of sweeps": {
      "sweep.yaml": "data:\n  train: train.csv\n",
      "best.yaml": "mine",
      "trials/a/mine.txt": "1",
    },
    "with names of comparisons": { "comparison.json": "{}", "figure.svg": "mine", "trials/notes.txt": "1" },
  };

  async function project(files: Readonly<Record<string, string>>): Promise<string> {
    const path = await mkdtemp(join(folder, "project-"));
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(path, name, ".."), { recursive: true });
      await writeFile(join(path, name), text);
    }
    return path;
  }

  test.each(Object.entries(projects))(
    "%s is refused by every command, and unchanged",
    async (name, files) => {
      const path = await project(files);
      const before = await snapshot(path);
      const data = join(folder, "train.csv");
      const commands = [
        ["train", data, ...settings, "-o", "."],
        ["train", data, ...settings, "-o", ".", "--overwrite"],
      ];
      if (/sweeps|comparisons|one file/.test(name)) {
        const compare = ["compare", data, ...settings, "--methods", "bitfit", "--seeds", "1", "-o", "."];
        commands.push(["sweep", data, ...settings, "--grid", "training.seed=1", "-o", "."]);
        commands.push(compare, [...compare, "--overwrite"]);
      }
      const results = await Promise.all(commands.map((command) => ptuning(command, { cwd: path })));
      for (const { code, stderr } of results) {
        expect(stderr).toMatch(/expected an empty folder or a (run|sweep|comparison), got other files \(/);
        expect(code).toBe(1);
      }
      expect(await snapshot(path)).toEqual(before);
      if (files["config.yaml"] !== undefined) {
        expect((await ptuning(["report", "."], { cwd: path })).code).toBe(1);
        expect(await snapshot(path)).toEqual(before);
      }
    },
    120_000,
  );

  test("a file is no folder; one that is empty, or was only looked at, is free", async () => {
    await writeFile(join(folder, "a-file"), "mine");
    expect(await train("a-file")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("expected an empty folder or a run, got a file"),
    });
    await mkdir(join(folder, "looked-at"));
    await writeFile(join(folder, "looked-at/.DS_Store"), "x");
    expect((await train("looked-at")).code).toBe(0);
  }, 60_000);
});

describe("a run in the place of another", () => {
  let run: string;
  beforeEach(async () => {
    run = await mkdtemp(join(folder, "run-"));
    await cp(finished, run, { recursive: true });
  });

  test("is refused without --overwrite; with it files of the user's stay", async () => {
    await writeFile(join(run, "notes.md"), "mine");
    expect(await train(run, ["--seed", "2"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("expected no run there, got a finished one"),
    });
    expect(await seedOf(run)).toBe(1);
    expect((await train(run, ["--seed", "2", "--overwrite"])).code).toBe(0);
    expect(await seedOf(run)).toBe(2);
    expect(await readFile(join(run, "notes.md"), "utf8")).toBe("mine");
    expect((await readdir(run)).sort()).toEqual([...(await readdir(finished)), "notes.md"].sort());
  }, 60_000);

  test("leaves the old one where the new one fails before its first step", async () => {
    const before = await snapshot(run);
    for (const wrong of [
      ["--prompt-length", "1000"],
      ["--backbone", join(folder, "nothing")],
      ["--text", "nothing"],
    ]) {
      expect((await train(run, ["--overwrite", ...wrong])).code).toBe(1);
      expect(await snapshot(run)).toEqual(before);
    }
  }, 60_000);

  test("that was begun but not finished taking its place is gone on with, not the old one", async () => {
    await train("other", ["--seed", "7"]);
    await cp(join(folder, "other/config.yaml"), join(run, "config.new.yaml"));
    // As far as a killed process may have come.
    await rm(join(run, "result.json"));
    await rename(join(run, "adapter"), join(run, ".adapter.00000000-1-1.00000000.old"));
    await writeFile(join(run, ".state.safetensors.00000000-1-1.00000000.tmp"), "half");
    expect(await ptuning(["train", run, ...settings], { cwd: folder })).toMatchObject({ code: 1 });
    const again = await ptuning(["train", "--resume", run], { cwd: folder });
    expect(again).toMatchObject({ code: 0 });
    expect(await seedOf(run)).toBe(7);
    expect((await readdir(run)).sort()).toEqual((await readdir(finished)).sort());
    const weights = "adapter/adapter_model.safetensors";
    expect(await readFile(join(run, weights))).toEqual(await readFile(join(folder, "other", weights)));
  }, 60_000);
});
