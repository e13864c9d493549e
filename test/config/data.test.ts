/** What a configuration makes of its data files. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "ptuning/data";
import {
  asParted,
  completeConfig,
  completeRunConfig,
  parseConfig,
  parseRunConfig,
  readData,
  readTasks,
} from "ptuning/internal/config";
import { defineTrial } from "ptuning/internal/trials";
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

test("small data is not parted where the run can choose on left-out rows, and nobody says otherwise", async () => {
  await writeFile(at("499.jsonl"), pairs(0, 499));
  await writeFile(at("500.jsonl"), pairs(0, 500));
  const sizes = async (data: object, more: object = {}): Promise<readonly number[]> => {
    const text = JSON.stringify({ data, ...more });
    const { train, dev, test } = await readData(await completeConfig(parseConfig({ text })));
    return [train.length, dev.length, test.length];
  };
  const small = { train: at("499.jsonl") };
  expect(await sizes(small)).toEqual([499, 0, 0]);
  expect(await sizes({ train: at("500.jsonl") })).toEqual([450, 50, 0]);
  // What counts is what is left to train on.
  expect(await sizes({ train: at("500.jsonl"), testShare: 0.5 })).toEqual([250, 0, 250]);
  expect(await sizes({ ...small, devShare: 0.1 })).toEqual([449, 50, 0]);
  expect(await sizes({ ...small, dev: at("more.jsonl") })).toEqual([499, 20, 0]);
  // A sample of many rows has the dev set of these.
  expect(await sizes({ train: at("500.jsonl"), limit: 40 })).toEqual([40, 50, 0]);
  for (const more of [
    { training: { refit: "never" } },
    { preset: "peft" },
    { method: { name: "linear-probe", solver: "fit" } },
  ]) {
    expect(await sizes(small, more)).toEqual([449, 50, 0]);
  }
  expect(await sizes({ train: at("train.jsonl") }, { method: { name: "lora" } })).toEqual([40, 0, 0]);
  // Five rows cannot be parted into parts that tell anything.
  await writeFile(at("5.jsonl"), pairs(0, 5));
  expect(await sizes({ train: at("5.jsonl") })).toEqual([3, 2, 0]);
  const words = Array.from({ length: 30 }, (_, i) =>
    JSON.stringify({ tokens: ["a", `w${i}`], tags: ["O", "B-X"] }),
  );
  await writeFile(at("words.jsonl"), words.join("\n"));
  expect(await sizes({ train: at("words.jsonl") })).toEqual([27, 3, 0]);
});

test("a run keeps the split that was made, trials and several tasks hold rows back", async () => {
  const config = await completeConfig(
    parseConfig({ text: JSON.stringify({ data: { train: at("train.jsonl") } }) }),
  );
  expect(config.data.devShare).toBeUndefined();
  expect(asParted(config, await readData(config)).data.devShare).toBe(0);
  expect(defineTrial(config).config.data.devShare).toBe(0.1);
  const given = { ...config, data: { ...config.data, devShare: 0.2 } };
  expect(asParted(given, await readData(given)).data.devShare).toBe(0.2);
  // What earlier versions wrote has the same name.
  expect(defineTrial(config).id).toBe(defineTrial({ ...config, data: { ...config.data, devShare: 0.1 } }).id);
  const several = {
    tasks: { a: { data: { train: at("train.jsonl") } }, b: { data: { train: at("more.jsonl") } } },
  };
  const { a, b } = await readTasks(
    await completeRunConfig(parseRunConfig({ text: JSON.stringify(several) })),
  );
  expect([a!.data.dev.length, b!.data.dev.length]).toEqual([4, 2]);
});

test("paths are a path or a list", () => {
  const parse = (data: object) => () => parseConfig({ text: JSON.stringify({ data }) });
  expect(parse({ train: 3 })).toThrow("data.train: expected a path or a list of paths, got 3.");
  expect(parse({ train: "a", test: [] })).toThrow("data.test: expected");
  expect(parse({ train: "a", testShare: 1 })).toThrow("data.testShare: expected");
});
