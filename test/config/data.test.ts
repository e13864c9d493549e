/** What a configuration makes of its data files. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "ptuning/data";
import { completeConfig, parseConfig, readData } from "ptuning/internal/config";
import { afterAll, beforeAll, expect, test } from "vitest";

let folder: string;
const pair = (i: number, label?: string): string =>
  JSON.stringify({ premise: `premise ${i}`, hypothesis: `hypothesis ${i}`, ...(label && { label }) });
const pairs = (from: number, count: number, isLabelled = true): string =>
  Array.from({ length: count }, (_, i) => `${pair(from + i, isLabelled ? `l${i % 2}` : undefined)}\n`).join(
    "",
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-config-data-"));
  await writeFile(join(folder, "train.jsonl"), pairs(0, 40));
  await writeFile(join(folder, "more.jsonl"), pairs(40, 20));
  await writeFile(join(folder, "open.jsonl"), pairs(60, 5, false));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(data: object): Promise<Dataset<unknown>> {
  return readData(await completeConfig(parseConfig({ text: JSON.stringify({ data }) })));
}
const at = (name: string): string => join(folder, name);

test("a test set without gold answers is left out, one that has some is not", async () => {
  const open = await read({ train: at("train.jsonl"), test: at("open.jsonl") });
  expect(open.test).toEqual([]);
  expect(open.warnings).toEqual(["5 test examples have no gold answers: nothing is scored on them."]);
  const mixed = await read({ train: at("train.jsonl"), test: [at("open.jsonl"), at("more.jsonl")] });
  expect([mixed.test.length, mixed.warnings]).toEqual([25, []]);
});

test("several files, a test set split off, and a limit on what is left", async () => {
  const files = [at("train.jsonl"), at("more.jsonl")];
  const data = await read({ train: files, testShare: 0.5, devShare: 0.2, limit: 10 });
  expect([data.train.length, data.dev.length, data.test.length]).toEqual([10, 6, 30]);
  expect(data.warnings).toEqual(["10 of 24 training examples are used, drawn with seed 11."]);
});

test("paths are a path or a list", () => {
  const parse = (data: object) => () => parseConfig({ text: JSON.stringify({ data }) });
  expect(parse({ train: 3 })).toThrow("data.train: expected a path or a list of paths, got 3.");
  expect(parse({ train: "a", test: [] })).toThrow("data.test: expected");
  expect(parse({ train: "a", testShare: 1 })).toThrow("data.testShare: expected");
});
