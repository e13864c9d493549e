/** Every metric against the reference implementations, on fresh random cases and on every character of Unicode. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { compareAll, comparisons, type MetricCases } from "../support/metric-cases.ts";
import { has, repository } from "../support/requirements.ts";

describe.skipIf(!has.python)("metrics", () => {
  const seed = process.env.PTUNING_TEST_SEED ?? `${Date.now() % 1_000_000}`;
  let folder: string;
  let cases: MetricCases;
  beforeAll(async () => {
    console.log(`metrics: PTUNING_TEST_SEED=${seed}`);
    folder = await mkdtemp(join(tmpdir(), "ptuning-metrics-"));
    const out = join(folder, "cases.json");
    const args = [`${repository}tools/reference/make_metrics.py`, seed, out];
    const { status, stderr } = spawnSync(referencePython(), args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    cases = JSON.parse(await readFile(out, "utf8"));
  }, 180_000);
  afterAll(() => rm(folder, { recursive: true }));

  test.each(Object.keys(comparisons) as (keyof MetricCases)[])("%s", (kind) => {
    expect(compareAll(kind, cases), `seed ${seed}`).toBeGreaterThanOrEqual(60);
  });
});
