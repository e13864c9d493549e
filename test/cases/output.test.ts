/** What the command line prints and writes, from files and arguments that were once printed wrongly. */
import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { escapeCell, readExamples, restoreCell } from "ptuning/data";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { dangerousIn, withoutOwnStyles } from "../support/dangerous.ts";
import { repository } from "../support/requirements.ts";
import { tinyFolder } from "../support/tiny.ts";

let folder: string;
const run = (args: readonly string[], input?: string): Promise<CliResult> =>
  ptuning(args, {
    cwd: folder,
    env: { PTUNING_CACHE: join(folder, "cache"), HF_HUB_OFFLINE: "1", FORCE_COLOR: "1" },
    ...(input !== undefined && { input }),
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-output-"));
  await writeFile(
    join(folder, "two.csv"),
    `text,label\n${Array.from({ length: 40 }, (_, i) => `w${i},${i % 2}\n`).join("")}`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

/** Title of the window, red, right to left, and the one-character form of ESC [. */
const evil = "a\u001b]0;owned\u0007\u001b[31;5m\u202eb\u009b31m";

describe("control characters reach no terminal", () => {
  test.each([
    ["a file's name", ["train", `${evil}.csv`]],
    ["a file's name as JSON", ["train", `${evil}.csv`, "--json"]],
    ["a command", [evil]],
    ["an option", ["train", `--${evil}`]],
    ["a choice", ["predict", "x", "--format", evil]],
    ["a key of the configuration", ["train", "two.csv", "--set", `${evil}=1`]],
    ["a value of the configuration", ["train", "two.csv", "--set", `training.epochs=${evil}`]],
    ["a column", ["train", "two.csv", "--label", evil]],
    ["a backbone", ["train", "two.csv", "--backbone", evil]],
    ["a folder", ["inspect", evil]],
    ["a key of a search", ["sweep", "two.csv", "--grid", `${evil}=1,2`]],
  ])("from %s", async (_, args) => {
    const { code, stdout, stderr } = await run(args);
    expect(code).not.toBe(0);
    expect(code).not.toBe(70);
    expect(dangerousIn(withoutOwnStyles(stdout + stderr))).toEqual([]);
    expect(withoutOwnStyles(stdout + stderr)).not.toContain("\u001b");
    expect(stdout + stderr).toMatch(/a\\(x1b|u001b)/);
  });
});

const given = (name: string): string => join(repository, "test/cases", name);
const jsonLines = (stdout: string): Record<string, unknown>[] =>
  stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("answers can be matched with their input", () => {
  const use = ["predict", "runs/labels", "--backbone", tinyFolder];
  beforeAll(async () => {
    await copyFile(given("labels_named_text_label_score.csv"), join(folder, "labels.csv"));
    const options = ["--backbone", tinyFolder, "--label", "label", "--epochs", "1", "--max-length", "8"];
    const { code, stderr } = await run([
      "train",
      "labels.csv",
      ...options,
      "--text",
      "text",
      "-o",
      "runs/labels",
    ]);
    expect(stderr).not.toMatch(/error:|defect:/);
    expect(code).toBe(0);
  }, 240_000);

  test.each(["jsonl", "csv", "tsv", "table"])(
    "a row with an empty text has its record as %s",
    async (format) => {
      const { stdout, stderr } = await run([
        ...[...use, "--input", given("predict_row_with_empty_text.csv"), "--format", format],
      ]);
      expect(stderr).toContain("1 of 3 rows without an answer: row 2: an empty text");
      const lines = stdout.trim().split("\n");
      if (format === "jsonl") {
        const records = lines.map((line) => JSON.parse(line));
        expect(records.map(({ row, line, id }) => [row, line, id])).toEqual([
          [1, 2, "10"],
          [2, 3, "11"],
          [3, 4, "12"],
        ]);
        expect(records.map(({ label }) => typeof label)).toEqual(["string", "object", "string"]);
        expect(records[1].unanswered).toBe("an empty text");
      } else {
        const separator = { csv: ",", tsv: "\t" }[format] ?? / +/;
        const cells = lines.map((line) => line.trim().split(separator).slice(0, 3));
        expect(cells).toEqual([
          ["row", "line", "id"],
          ["1", "2", "10"],
          ["2", "3", "11"],
          ["3", "4", "12"],
        ]);
      }
    },
  );

  test("a line that is no JSON is refused with file, line and cause, or has its record where damage is skipped", async () => {
    const input = ["--input", given("j_nan.jsonl")];
    const wrong = /j_nan\.jsonl: line 4: expected a JSON object, got .*, where NaN is no JSON value\./;
    for (const format of ["jsonl", "csv", "table"]) {
      const { code, stdout, stderr } = await run([...use, ...input, "--format", format]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
      expect(withoutOwnStyles(stderr)).toMatch(wrong);
    }
    const skipping = ["--set", "data.damaged=skip", "--epochs", "1", "--max-length", "8", "-o", "runs/skip"];
    const from = ["--backbone", tinyFolder, "--label", "label", "--text", "text"];
    expect((await run(["train", "labels.csv", ...from, ...skipping])).code).toBe(0);
    const { code, stdout, stderr } = await run(["predict", "runs/skip", ...use.slice(2), ...input, "--json"]);
    expect(code).toBe(0);
    expect(stderr).toContain("1 of 20 rows without an answer: row 4: ");
    const records = jsonLines(stdout);
    expect(records.map(({ row, line }) => [row, line])).toEqual(
      Array.from({ length: 20 }, (_, i) => [i + 1, i + 1]),
    );
    expect(records.flatMap(({ label }, i) => (label === null ? [i + 1] : []))).toEqual([4]);
    expect(records[3]!.unanswered).toMatch(wrong);
    expect(records.map(({ text }) => text).toSpliced(3, 1)).toEqual(
      Array.from({ length: 20 }, (_, i) => `text number ${i}`).toSpliced(3, 1),
    );
  }, 120_000);

  test("classes called text, label and score have columns of their own", async () => {
    const { stdout } = await run([...use, "some text", "--probabilities", "--format", "csv"]);
    const [titles, cells] = stdout.split("\n").map((line) => line.split(","));
    expect(titles).toEqual(["row", "label", "score", "p(label)", "p(score)", "p(text)", "text"]);
    const total = cells!.slice(3, 6).reduce((sum, cell) => sum + Number(cell), 0);
    expect(total).toBeCloseTo(1, 6);
    expect(cells![6]).toBe("some text");
  });

  test("a text per line is numbered alike from standard input and from a file, blank lines too", async () => {
    const text = "w1\n\n=1+1\n  \nw2";
    await writeFile(join(folder, "lines.txt"), text);
    const piped = await run([...use, "--json"], text);
    const file = await run([...use, "--json", "--input", "lines.txt"]);
    expect(file.stdout).toBe(piped.stdout);
    expect(jsonLines(piped.stdout).map(({ row, line, text: own }) => [row, line, own])).toEqual([
      [1, 1, "w1"],
      [2, 2, undefined],
      [3, 3, "=1+1"],
      [4, 4, undefined],
      [5, 5, "w2"],
    ]);
  });

  test("what is written as CSV is read back as it was, and is safe for spreadsheets", async () => {
    const texts = ["=1+1", "'=1+1", "''@x", "-1.5", "+3", "1e-5", "-a", 'a"b,c', "'plain", "\tx", "@you"];
    const { stdout } = await run([...use, "--format", "csv"], texts.join("\n"));
    await writeFile(join(folder, "back.csv"), stdout);
    const { examples } = await readExamples(join(folder, "back.csv"), { text: "text" });
    expect(examples.map(({ text }) => text)).toEqual(texts);
    expect(stdout).toContain(",-1.5\n");
    expect(stdout).toContain(",'=1+1\n");
    const raw = await run([...use, "--format", "csv", "--raw", "=1+1"]);
    expect(raw.stdout).toContain(",=1+1\n");
  });

  test("texts that are cut are counted, and marked in their records", async () => {
    const long = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11";
    const { stdout, stderr } = await run([...use, "--json", "w1", long]);
    expect(jsonLines(stdout).map(({ truncated }) => truncated)).toEqual([undefined, true]);
    expect(stderr).toContain("1 of 2 texts cut to 8 tokens");
  });
});

test("every cell comes back, and none that is written runs", () => {
  const cell = fc.array(
    fc.oneof(fc.constantFrom("'", "=", "+", "-", "@", "\t", "\r", "1", ".5", "e3"), fc.string()),
  );
  fc.assert(
    fc.property(cell, (parts) => {
      const text = parts.join("");
      const written = escapeCell(text);
      expect(restoreCell(written)).toBe(text);
      if (/^[=@\t\r]/.test(written)) throw new Error(`runs: ${written}`);
      if (/^[+-]/.test(written)) expect(Number.isNaN(Number(written))).toBe(false);
    }),
  );
});

test("the command that a run prints works when it is pasted", async () => {
  const home = join(folder, "my $HOME it's");
  await mkdir(join(home, "bin"), { recursive: true });
  await cp(tinyFolder, join(home, "a backbone"), { recursive: true });
  await copyFile(given("labels_named_text_label_score.csv"), join(home, "my data.csv"));
  const main = join(repository, "dist/cli/main.js");
  await writeFile(join(home, "bin/ptuning"), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, {
    mode: 0o755,
  });
  const env = {
    ...process.env,
    PTUNING_CACHE: join(folder, "cache"),
    PATH: `${join(home, "bin")}:${process.env.PATH}`,
  };
  const paste = (command: string): Promise<{ stdout: string; stderr: string }> =>
    promisify(execFile)("bash", ["-c", command], { cwd: home, env });
  const trained = await paste(
    "ptuning train 'my data.csv' --text text --label label --backbone 'a backbone' --epochs 1 -o '-my run'",
  );
  const [, command] = /^Try it: +(.*)$/m.exec(trained.stdout)!;
  const { stdout } = await paste(command!);
  expect(stdout).toMatch(/^row +label +score +text\n +1 /);
  expect(await readFile(join(home, "-my run/result.json"), "utf8")).toContain("result");
}, 240_000);
