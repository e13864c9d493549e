/**
 * Places that the system refuses: one line, a code and a hint, exit 1, before any backbone is loaded. Root may write
 * everywhere, so most of these refusals are of other kinds than permissions; permissions are tried as another user.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type CliOptions, type CliResult, ptuning } from "../support/cli.ts";
import { repository } from "../support/requirements.ts";
import { tinyCsv, tinyFolder } from "../support/tiny.ts";

vi.setConfig({ testTimeout: 300_000 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-refusals-"));
  await chmod(folder, 0o755);
  await writeFile(join(folder, "train.csv"), tinyCsv(120, 1));
  await writeFile(join(folder, "a-file"), "");
  await symlink(join(folder, "nowhere", "deeper"), join(folder, "dead-link"));
  await symlink("circle", join(folder, "circle"));
});
afterAll(() => rm(folder, { recursive: true }));

const quick = [
  ...["--batch-size", "8", "--max-length", "16", "--epochs", "1", "--prompt-length", "3"],
  ...["--set", "data.devShare=0.1"],
];
const run = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  ptuning(args, { cwd: folder, ...options });

/** Refused in words: no stack, exit 1, the place and the code. */
function expectRefusal(
  { code, stdout, stderr }: CliResult,
  place: string,
  error: string,
  reason: RegExp,
): void {
  expect(stderr).not.toMatch(/defect|\n\s+at /);
  expect(code, stderr).toBe(1);
  const last = JSON.parse(stdout.trim().split("\n").at(-1)!);
  expect(last).toMatchObject({ type: "error", code: error });
  expect(last.message.includes(place), last.message.slice(0, 300)).toBe(true);
  expect(last.message).toMatch(reason);
}

const long = "n".repeat(300);
const places: readonly (readonly [name: string, place: string, reason: RegExp])[] = [
  ["a file", "a-file", /got a file|is a file/],
  ["beneath a file", "a-file/runs/x", /through (a|the) file/],
  ["behind a dead link", "dead-link", /a link that leads nowhere/],
  ["beneath a dead link", "dead-link/x", /a link that leads nowhere/],
  ["in a circle of links", "circle/x", /links that lead in a circle/],
  ["of a name that is too long", long, /a name that is too long/],
  ["beneath a name that is too long", `${long}/x`, /a name that is too long/],
  ["of a path that is too long", `${"abcdefghi/".repeat(500)}x`, /a name that is too long/],
  ["in /proc", "/proc/runs/x", /expected a place to write, got /],
  ["beneath a device", "/dev/null/x", /through (a|the) file/],
  ["in /sys", "/sys/runs", /expected a place to write, got /],
];

// A backbone that does not exist: whoever loads it before looking at the output says something else.
const noBackbone = ["--backbone", "nobody/nothing", "--json"];
const sweepOne = ["sweep", "train.csv", "--grid", "training.seed=1,2"];
const few = ["a file", "beneath a file", "beneath a dead link", "in /proc"];

test.each([
  ...places.map((place) => [...place, ["train", "train.csv"]] as const),
  ...places
    .filter(([name]) => few.includes(name))
    .flatMap((place) => [[...place, ["compare", "train.csv"]] as const, [...place, sweepOne] as const]),
])("an output %s is refused: %3$s", async (_, place, reason, args) => {
  const result = await run([...args, ...quick, ...noBackbone, "-o", place]);
  const isOthers = result.stdout.includes("OUTPUT_EXISTS");
  expectRefusal(result, place, isOthers ? "OUTPUT_EXISTS" : "OUTPUT_UNWRITABLE", reason);
});

test.each(places.filter(([name]) => few.slice(1).includes(name)))(
  "init writes no file %s",
  async (_, place) => {
    const { code, stderr } = await run(["init", "train.csv", "-y", "-o", place]);
    expect(stderr).not.toMatch(/defect|\n\s+at /);
    expect(code, stderr).toBe(1);
    expect(stderr.includes(place), stderr.slice(0, 300)).toBe(true);
    expect(stderr).toMatch(/expected a place to write, got /);
  },
);

test("what is refused leaves nothing behind", () => {
  expect(readdirSync(folder).sort()).toEqual(["a-file", "circle", "dead-link", "train.csv"]);
});

test("a full standard output", () => {
  const shell = `"$0" "$1" inspect train.csv > /dev/full`;
  const main = `${repository}dist/cli/main.js`;
  const { status, stderr } = spawnSync("sh", ["-c", shell, process.execPath, main], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(stderr).toMatch(/^error: standard output: expected room to write, the disk is full\./);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(status).toBe(1);
});

const tiny = ["--backbone", tinyFolder, "--precision", "fp32", "--threads", "1"];

test.each([
  ["deleted", (place: string): Promise<void> => rm(place, { recursive: true, maxRetries: 20 })],
  ["moved", (place: string): Promise<void> => rename(place, `${place}-moved`)],
])("a run folder that is %s while it trains", async (name, change) => {
  const output = `run-${name}`;
  let isChanged: Promise<void> | undefined;
  const result = await run(
    [
      "train",
      "train.csv",
      ...tiny,
      "--set",
      "data.devShare=0.1",
      "--batch-size",
      "8",
      "--epochs",
      "400",
      "--json",
      "-o",
      output,
    ],
    {
      onStart: (child) =>
        child.stdout!.on("data", (text: string) => {
          if (text.includes('"type":"evaluation"')) isChanged ??= change(join(folder, output));
        }),
    },
  );
  await isChanged;
  expectRefusal(result, output, "OUTPUT_UNWRITABLE", /no such file or folder/);
  expect(existsSync(join(folder, output))).toBe(false);
});

test("a cache that cannot be made: int8 weights are made for once, and that is said once", async () => {
  const env = { PTUNING_CACHE: "/dev/null/cache" };
  const int8 = ["--backbone", tinyFolder, "--precision", "int8"];
  const trained = await run(["train", "train.csv", ...int8, ...quick, "-o", "uncached"], { env });
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stderr.match(/as the cache cannot be written/g)).toHaveLength(1);
  const predicted = await run(["predict", "uncached", "w1 w2", ...int8, "--json"], { env });
  expect(predicted.code, predicted.stderr).toBe(0);
  expect(predicted.stderr.match(/as the cache cannot be written/g)).toHaveLength(1);
  const cached = await run(["predict", "uncached", "w1 w2", ...int8, "--json"]);
  expect(cached.stdout).toBe(predicted.stdout);
  const trunk = ["--set", "training.trunkCache=file", "--set", "method.promptLayers={last: 1}"];
  const kept = await run(["train", "train.csv", ...tiny, ...quick, ...trunk, "-o", "trunk"], { env });
  expect(kept.code, kept.stderr).toBe(0);
  expect(kept.stderr.match(/as the cache cannot be written/g)).toHaveLength(1);
  const fetched = await run(["backbones", "add", "nobody/nothing"], { env });
  expect(fetched).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\/dev\/null\/cache.*PTUNING_CACHE/s),
  });
});

describe.skipIf(process.getuid?.() === undefined)("without permission", () => {
  // Root asks as nobody.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const asNobody = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CliResult> =>
    run(args, { ...nobody, env: { HOME: folder, ...env } });

  beforeAll(async () => {
    await mkdir(join(folder, "closed"));
    await cp(join(folder, "train.csv"), join(folder, "closed", "train.csv"));
    await writeFile(join(folder, "secret.csv"), tinyCsv(120, 1));
    await chmod(join(folder, "secret.csv"), 0o000);
    await chmod(join(folder, "closed"), 0o000);
    await mkdir(join(folder, "locked"), { mode: 0o555 });
    await cp(tinyFolder, join(folder, "tiny"), { recursive: true });
  });
  afterAll(() => chmod(join(folder, "closed"), 0o755));

  const local = ["--backbone", "tiny", ...quick, "--threads", "1", "--json"];
  test.each([
    ["an output", ["train", "train.csv", ...local, "-o", "locked/run"], "locked/run", "OUTPUT_UNWRITABLE"],
    [
      "an output of a sweep",
      ["sweep", "train.csv", ...local, "--grid", "training.seed=1", "-o", "locked/s"],
      "locked/s",
      "OUTPUT_UNWRITABLE",
    ],
    [
      "an output of a comparison",
      ["compare", "train.csv", ...local, "-o", "locked/c"],
      "locked/c",
      "OUTPUT_UNWRITABLE",
    ],
    [
      "data",
      ["train", "secret.csv", ...local, "-o", "locked/run", "--dry-run"],
      "secret.csv",
      "DATA_NOT_FOUND",
    ],
    [
      "data in a folder",
      ["train", "closed/train.csv", ...local, "--dry-run"],
      "closed/train.csv",
      "DATA_NOT_FOUND",
    ],
    ["a folder of data", ["train", "closed", ...local, "--dry-run"], "closed", "DATA_NOT_FOUND"],
    [
      "dev data",
      ["train", "train.csv", "--dev", "secret.csv", ...local, "--dry-run"],
      "secret.csv",
      "DATA_NOT_FOUND",
    ],
    ["a configuration", ["train", "closed/run.yaml", "--json"], "closed/run.yaml", "CONFIG_INVALID"],
  ])("%s", async (_, args, place, error) => {
    expectRefusal(await asNobody(args), place, error, /permission denied/);
  });

  test("a read-only cache: training and prediction go on", async () => {
    await mkdir(join(folder, "out"), { mode: 0o777 });
    await chmod(join(folder, "out"), 0o777);
    // Where everybody may write, as in /tmp; the folder of the tests is this user's.
    const free = join(folder, "free");
    await mkdir(free);
    await chmod(free, 0o777);
    const env = { PTUNING_CACHE: join(folder, "locked"), TMPDIR: free };
    const int8 = ["--backbone", "tiny", "--precision", "int8", ...quick.slice(0, 6)];
    const trained = await asNobody(["train", "train.csv", ...int8, "-o", "out/run"], env);
    expect(trained.code, trained.stderr).toBe(0);
    const resumed = await asNobody(["report", "out/run"], env);
    expect(resumed.code, resumed.stderr).toBe(0);
    const [text, ...rest] = ["w1 w2", "--backbone", "tiny", "--precision", "int8"];
    const predicted = await asNobody(["predict", "out/run", text!, ...rest, "--json"], env);
    expect(predicted.code, predicted.stderr).toBe(0);
    expect(predicted.stderr).toMatch(/as the cache cannot be written.*permission denied/);
    expect(readdirSync(join(folder, "locked"))).toEqual([]);
    // A run that another may read but not write.
    await chmod(join(folder, "out", "run"), 0o555);
    const report = await asNobody(["report", "out/run"], env);
    if (process.getuid!() === 0) await chmod(join(folder, "out", "run"), 0o755);
    expect(report.code).toBe(1);
    expect(report.stderr).toMatch(/out\/run: expected a place to write, got permission denied/);
  });
});
