/** What the command line prints and writes, from files and arguments that were once printed wrongly. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CliResult, ptuning } from "../support/cli.ts";
import { dangerousIn, withoutOwnStyles } from "../support/dangerous.ts";

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
    expect(stdout + stderr).not.toContain("a\u001b");
    expect(stdout + stderr).toMatch(/a\\(x1b|u001b)/);
  });
});
