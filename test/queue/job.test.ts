/** Jobs are untrusted: whatever is in one, no path leaves the root. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { RunConfig } from "ptuning/internal/config";
import {
  fromRooted,
  jobId,
  makeRooted,
  openJob,
  type TrialJob,
  toJob,
  toRooted,
} from "ptuning/internal/queue";
import { defineTrial } from "ptuning/internal/trials";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyConfig } from "../support/trials.ts";

let outside: string;
let root: string;
let config: RunConfig;
let job: TrialJob;
const inputs = { data: "sha256:1", backbone: "sha256-sampled:2" };
beforeAll(async () => {
  outside = await realpath(await mkdtemp(join(tmpdir(), "ptuning-job-")));
  root = join(outside, "root");
  await mkdir(join(root, "model"), { recursive: true });
  await writeFile(join(outside, "secret.csv"), "text,label\n");
  await mkdir(join(outside, "elsewhere"));
  await symlink(join(outside, "secret.csv"), join(root, "link.csv"));
  await symlink(join(outside, "elsewhere"), join(root, "out"));
  await symlink(join(outside, "not-there"), join(root, "dangling"));
  await mkdir(join(root, "folder/deep"), { recursive: true });
  await symlink("../../../secret.csv", join(root, "folder/deep/link.csv"));
  await symlink("../train.csv", join(root, "folder/inner.csv"));
  const tiny = await tinyConfig(root);
  config = { ...tiny, backbone: join(root, "model") };
  job = await toJob(defineTrial(config, { "training.seed": 3 }), join(root, "sweeps/a"), inputs, root);
});
afterAll(() => rm(outside, { recursive: true }));

describe("a job", () => {
  test("has no absolute path, and opens under another root", async () => {
    expect(JSON.stringify(job)).not.toContain(outside);
    const { trial, folder, inputs: wanted } = await openJob(JSON.parse(JSON.stringify(job)), root);
    const { search, engine, ...rest } = config;
    const { data, training } = config;
    const settled = { data: { devShare: 0.1, ...data }, training: { ...training, seed: 3 } };
    expect(trial.config).toEqual({ ...rest, engine: {}, ...settled });
    expect(trial.overrides).toEqual({ "training.seed": 3 });
    expect(trial.id).toBe(job.id);
    expect(folder).toBe(join(root, "sweeps/a"));
    expect(wanted).toEqual(inputs);
  });

  test("of files outside of the root is not made", async () => {
    const bad = defineTrial({ ...config, data: { ...config.data, test: join(outside, "secret.csv") } });
    await expect(toJob(bad, join(root, "a"), inputs, root)).rejects.toMatchObject({ code: "QUEUE_FAILED" });
    await expect(toJob(defineTrial(config), outside, inputs, root)).rejects.toThrow(/under the root/);
  });

  const other = (change: object): unknown => ({ ...job, ...change });
  const withConfig = (change: (text: string) => string): unknown => other({ config: change(job.config) });
  test.each<[string, () => unknown]>([
    ["no object", () => 3],
    ["another version", () => other({ version: 3 })],
    ["a key too many", () => other({ extra: 1 })],
    ["an id that is a path", () => other({ id: "../../../x" })],
    ["a folder above", () => other({ folder: "./../x" })],
    ["an absolute folder", () => other({ folder: "/tmp/x" })],
    ["a folder behind a link", () => other({ folder: "./out/x" })],
    ["a folder behind a link to nothing", () => other({ folder: "./dangling/x" })],
    [
      "data that is absolute",
      () => withConfig((text) => text.replace("./train.csv", join(outside, "secret.csv"))),
    ],
    ["data above", () => withConfig((text) => text.replace("./train.csv", "./../secret.csv"))],
    ["data above, without a dot", () => withConfig((text) => text.replace("./train.csv", "../secret.csv"))],
    ["data that is a link", () => withConfig((text) => text.replace("./train.csv", "./link.csv"))],
    ["data in a folder with a link", () => withConfig((text) => text.replace("./train.csv", "./folder"))],
    [
      "one of several files",
      () => withConfig((text) => text.replace("./train.csv", "[./train.csv, ./link.csv]")),
    ],
    ["a test file that is a link", () => withConfig((text) => text.replace("./test.csv", "./link.csv"))],
    ["an absolute backbone", () => withConfig((text) => text.replace("./model", "/etc"))],
    ["a backbone above", () => withConfig((text) => text.replace("./model", "./model/../../elsewhere"))],
    ["a backbone that is a longer path", () => withConfig((text) => text.replace("./model", "a/b/c"))],
    ["a backbone behind a link", () => withConfig((text) => text.replace("./model", "./out"))],
    ["a backbone with backslashes", () => withConfig((text) => text.replace("./model", ".\\\\..\\\\x"))],
    ["a zero byte", () => withConfig((text) => text.replace("./train.csv", '"./train.csv\\0.txt"'))],
    [
      "__proto__ in the job",
      () => JSON.parse(JSON.stringify(job).replace('"overrides":{', '"overrides":{"__proto__":{"x":1},')),
    ],
    ["__proto__ in the configuration", () => withConfig((text) => `${text}__proto__: {polluted: true}\n`)],
    ["constructor in the configuration", () => withConfig((text) => `${text}constructor: {a: 1}\n`)],
    ["an unknown key", () => withConfig((text) => `${text}run: rm\n`)],
    ["a configuration of great length", () => withConfig((text) => text + " ".repeat(200_000))],
    ["a configuration that is none", () => other({ config: "[1" })],
  ])("with %s is refused", async (_, make) => {
    await expect(openJob(make(), root)).rejects.toMatchObject({ name: "PtuningError", code: "QUEUE_FAILED" });
    expect(await readdir(join(outside, "elsewhere"))).toEqual([]);
    expect(existsSync(join(outside, "not-there"))).toBe(false);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test("under the id of another content is refused: what is trusted is computed again", async () => {
    const id = jobId(job);
    expect(id).toMatch(/^trial-[0-9a-f]{32}$/);
    expect((await openJob(job, root, id)).trial.id).toBe(job.id);
    const forgeries: Partial<TrialJob>[] = [
      { id: "0123456789ab" },
      { folder: "./sweeps/b" },
      { config: job.config.replace("seed: 3", "seed: 4") },
      { overrides: { "training.seed": 4 } },
      { inputs: { ...inputs, data: "sha256:2" } },
      { inputs: { ...inputs, backbone: "sha256-sampled:3" } },
      { package: "0.0.0-other" },
    ];
    const ids = forgeries.map((change) => jobId({ ...job, ...change }));
    expect(new Set([id, ...ids]).size).toBe(forgeries.length + 1);
    for (const change of forgeries) {
      const forged = openJob({ ...job, ...change }, root, id);
      await expect(forged).rejects.toMatchObject({
        code: "QUEUE_FAILED",
        message: "job: expected a trial: its id is that of another job.",
      });
    }
    const wrong = id.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    await expect(openJob(job, root, wrong)).rejects.toMatchObject({ code: "QUEUE_FAILED" });
    await expect(openJob(job, root, "")).rejects.toMatchObject({ code: "QUEUE_FAILED" });
  });

  test("of another version is refused, with what to do", async () => {
    for (const version of ["0.0.0-other", "", `${job.package}.1`]) {
      const foreign = { ...job, package: version };
      await expect(openJob(foreign, root, jobId(foreign))).rejects.toMatchObject({
        code: "INPUT_CHANGED",
        message: `job: expected one of ptuning ${job.package}, got one of ${version}.`,
        hint: expect.stringContaining("run the same one for the sweep and on every worker"),
      });
    }
    await expect(openJob(other({ version: 1 }), root)).rejects.toMatchObject({
      code: "QUEUE_FAILED",
      message: "job: expected one of this version of ptuning, got one of an earlier.",
      hint: expect.stringContaining("Start its sweep again"),
    });
  });

  test("whose file is missing here may be run by another worker", async () => {
    const missing = withConfig((text) => text.replace("./train.csv", "./gone.csv"));
    await expect(openJob(missing, root)).rejects.toMatchObject({ code: "DATA_NOT_FOUND" });
  });

  test("of any JSON at all is refused or opened inside the root", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.json(),
        fc.constantFrom("id", "folder", "config", "overrides", "inputs"),
        async (text, key) => {
          const change = JSON.parse(text);
          const opened = await openJob({ ...job, [key]: change }, root).catch((error: unknown) => error);
          if (opened instanceof Error) expect(opened).toMatchObject({ code: "QUEUE_FAILED" });
          else expect((opened as { folder: string }).folder.startsWith(root)).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("paths from the root", () => {
  test("go there and back", async () => {
    expect(toRooted(root, join(root, "folder/deep"))).toBe("./folder/deep");
    expect(await fromRooted(root, "./train.csv")).toBe(join(root, "train.csv"));
    expect(await fromRooted(root, "./folder/inner.csv")).toBe(join(root, "train.csv"));
    expect(await makeRooted(root, "./new/one")).toBe(join(root, "new/one"));
    expect(existsSync(join(root, "new/one"))).toBe(true);
  });

  test("never lead out, however they are written", async () => {
    const part = fc.constantFrom(
      "..",
      ".",
      "",
      "out",
      "link.csv",
      "folder",
      "deep",
      "train.csv",
      "~",
      "%2e%2e",
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { maxLength: 6 }),
        fc.constantFrom("/", "\\"),
        async (parts, separator) => {
          const place = await fromRooted(root, parts.join(separator)).catch(() => root);
          expect(place === root || place.startsWith(`${root}/`)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
