/** A backbone, its tokenizer and an adapter of nothing but bytes answer as those of folders do, to the bit. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import {
  type Adapter,
  loadAdapter,
  MultiTaskAdapter,
  mergeAdapter,
  openAdapter,
  parseAdapter,
  parseSavedAdapter,
} from "ptuning/internal/adapters";
import { type Backbone, loadBackbone, parseBackbone } from "ptuning/internal/backbones";
import { type Files, memoryFiles } from "ptuning/internal/files";
import { bitfit, deepPrompt, fineTuning, lora, type Method } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import { openTokenizer } from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyExamples, tinyFolder, tinyOptions } from "../support/tiny.ts";

const engine = nodeEngine({ threads: 1 });
const root = await mkdtemp(join(tmpdir(), "ptuning-memory-"));
let onDisk: Backbone;
let inMemory: Backbone;

/** Every file of a folder, as one who has no disk has them. */
async function filesOf(folder: string): Promise<Files> {
  const names = await readdir(folder);
  const entries = names.map(
    async (name) => [name, new Uint8Array(await readFile(join(folder, name)))] as const,
  );
  return memoryFiles("upload", await Promise.all(entries));
}

beforeAll(async () => {
  onDisk = await loadBackbone(tinyFolder, { engine });
  const files = await filesOf(tinyFolder);
  inMemory = await parseBackbone(files, { engine, tokenizer: await openTokenizer(files), id: onDisk.id });
});
afterAll(async () => {
  await engine.close();
  await rm(root, { recursive: true });
});

async function predictions(
  adapter: Adapter,
  backbone: Backbone,
  precision: "fp32" | "int8",
): Promise<unknown> {
  await using predictor = await createPredictor(adapter, backbone, { precision });
  return await predictor.predict(tinyExamples(40, 3));
}

const methods: readonly [string, () => Method][] = [
  ["deep prompts", () => deepPrompt({ promptLength: 3 })],
  ["LoRA", () => lora({ rank: 2 })],
  ["BitFit", () => bitfit()],
  ["fine-tuning", () => fineTuning()],
];

describe.each(methods)("an adapter of %s", (name, method) => {
  const path = join(root, name.replace(" ", "-"));
  const precisions =
    name === "fine-tuning" || name === "BitFit" ? (["fp32"] as const) : (["fp32", "int8"] as const);

  test("of bytes on a backbone of bytes", async () => {
    const trained = ofType(await eventsOf(tinyOptions(onDisk, { epochs: 1, method: method() })), "done")[0]!
      .adapter;
    await trained.save(path);
    const saved = await loadAdapter(path);
    const parsed = await parseAdapter(await filesOf(path));
    for (const precision of precisions) {
      const expected = await predictions(saved, onDisk, precision);
      expect(await predictions(parsed, inMemory, precision)).toEqual(expected);
    }
    // What is saved and what is given as files are the same bytes.
    const given = await trained.files();
    expect([...given.keys()].sort()).toEqual((await readdir(path)).sort());
    for (const [file, bytes] of given)
      expect(Buffer.from(bytes).equals(await readFile(join(path, file))), file).toBe(true);
    const again = await parseAdapter(memoryFiles("again", await parsed.files()));
    expect(await predictions(again, inMemory, "fp32")).toEqual(await predictions(saved, onDisk, "fp32"));
  });
});

test("training on a backbone of bytes learns the same, and merges the same", async () => {
  const options = { epochs: 1, method: lora({ rank: 2 }) };
  const [one, other] = [
    ofType(await eventsOf(tinyOptions(onDisk, options)), "done")[0]!.adapter,
    ofType(await eventsOf(tinyOptions(inMemory, options)), "done")[0]!.adapter,
  ];
  expect(other.params).toEqual(one.params);
  const merged = await mergeAdapter(other, inMemory);
  const expected = await (await mergeAdapter(one, onDisk)).files();
  const files = await merged.files();
  expect([...files.keys()].sort()).toEqual([...expected.keys()].sort());
  const weights = "model.safetensors";
  expect(Buffer.from(files.get(weights)!).equals(expected.get(weights)!)).toBe(true);
});

test("several heads on one prompt", async () => {
  const trained = ofType(await eventsOf(tinyOptions(onDisk, { epochs: 1 })), "done")[0]!.adapter;
  const { task, params, provenance, method, backbone, maxLength } = trained;
  const isHead = (name: string): boolean => name.startsWith("classifier");
  const part = (wanted: boolean): typeof params =>
    Object.fromEntries(Object.entries(params).filter(([name]) => isHead(name) === wanted));
  const head = { task, params: part(true), provenance };
  const several = new MultiTaskAdapter({
    method,
    shared: part(false),
    heads: { a: head, b: head },
    backbone,
    maxLength,
  });
  const path = join(root, "several");
  await several.save(path);
  const parsed = (await parseSavedAdapter(memoryFiles("several", await several.files()))) as MultiTaskAdapter;
  const saved = (await openAdapter(path)) as MultiTaskAdapter;
  expect(Object.keys(parsed.heads)).toEqual(["a", "b"]);
  expect(await predictions(parsed.head("b"), inMemory, "fp32")).toEqual(
    await predictions(saved.head("a"), onDisk, "fp32"),
  );
});

test("what is no adapter is refused by the names of its files", async () => {
  await expect(parseAdapter(memoryFiles("none", []))).rejects.toMatchObject({
    code: "ADAPTER_INVALID",
    message: expect.stringMatching(/^none\/adapter_config\.json: /),
  });
  const files = new Map(await (await loadAdapter(join(root, "LoRA"))).files());
  files.set("ptuning.json", new TextEncoder().encode("{"));
  await expect(parseAdapter(memoryFiles("broken", files))).rejects.toMatchObject({
    code: "ADAPTER_INVALID",
    message: expect.stringMatching(/^broken\/ptuning\.json: /),
  });
});
