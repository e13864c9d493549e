/** Backbones whose files are no files of a disk: bytes, blobs, sources of another kind. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { nodeEngine, referenceEngine } from "ptuning/engine";
import {
  type Backbone,
  loadBackbone,
  parseBackbone,
  portableHost,
  readWeight,
  withPrecision,
} from "ptuning/internal/backbones";
import type { ByteSource } from "ptuning/internal/core";
import { diskFiles, type Files, memoryFiles } from "ptuning/internal/files";
import { embedTexts } from "ptuning/internal/predict";
import { openTokenizer } from "ptuning/internal/text";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const engine = nodeEngine({ threads: 1 });
afterAll(() => engine.close());

const texts = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"];

async function contents(folder: string): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isFile()) found.set(entry.name, new Uint8Array(await readFile(join(folder, entry.name))));
  return found;
}

/** A source of a user's own: nothing but a name, a size and reads, of which it keeps count. */
function counting(name: string, bytes: Uint8Array): ByteSource & { readonly reads: [number, number][] } {
  const reads: [number, number][] = [];
  const { buffer } = bytes.slice();
  return {
    name,
    size: buffer.byteLength,
    reads,
    async read(offset, length) {
      reads.push([offset, length]);
      return new Uint8Array(buffer.slice(offset, offset + length));
    },
  };
}

const parse = async (files: Files): Promise<Backbone> =>
  parseBackbone(files, { engine, tokenizer: await openTokenizer(files), id: "bert" });

const folders = ["bert", "roberta", "deberta-v2", "albert"];

describe.each(folders)("%s", (name) => {
  const folder = goldenPath(name);

  test("of bytes is the backbone of the folder, to the bit", async () => {
    await using onDisk = await loadBackbone(folder, { engine: nodeEngine({ threads: 1 }) });
    const inMemory = await parse(memoryFiles(name, await contents(folder)));
    expect([...inMemory.weights.values()].every(({ source }) => source.path === undefined)).toBe(true);
    expect([...onDisk.weights.values()].every(({ source }) => source.path !== undefined)).toBe(true);
    expect(inMemory.fingerprint).toBe(onDisk.fingerprint);
    expect(inMemory.formerFingerprint).toBe(onDisk.formerFingerprint);
    expect(inMemory.parameterCount).toBe(onDisk.parameterCount);
    expect(await embedTexts(texts, inMemory)).toEqual(await embedTexts(texts, onDisk));
    const int8 = await withPrecision(inMemory, "int8");
    expect(int8.precision).toBe("int8");
    expect([...int8.weights.values()].every(({ source }) => source.path === undefined)).toBe(true);
    expect(await embedTexts(texts, int8)).toEqual(
      await embedTexts(texts, await withPrecision(onDisk, "int8")),
    );
  });
});

test("files may be blobs, sources of one's own and files of a disk, mixed", async () => {
  const all = await contents(goldenPath("bert"));
  const weights = counting("an upload", all.get("model.safetensors")!);
  const mixed = [...all].map(([file, bytes]): [string, Uint8Array | Blob | ByteSource] => [
    file,
    file === "model.safetensors" ? weights : file.endsWith(".json") ? new Blob([bytes.slice()]) : bytes,
  ]);
  const backbone = await parse(memoryFiles("mixed", mixed));
  // What reads are the caller's own: changing what was read changes nothing that is read later.
  const name = "embeddings.LayerNorm.weight";
  const read = await readWeight(backbone.weights, name, "bert");
  const kept = read.data.slice();
  read.data.fill(7);
  expect((await readWeight(backbone.weights, name, "bert")).data).toEqual(kept);
  const fromDisk = await parse(diskFiles(goldenPath("bert")));
  expect(await embedTexts(texts, backbone)).toEqual(await embedTexts(texts, fromDisk));
});

test.each([
  ["ONNX Runtime", () => nodeEngine({ threads: 1 })],
  ["the reference engine", () => referenceEngine()],
])("a source that has to be opened is opened once for all weights of a graph: %s", async (_, create) => {
  const all = await contents(goldenPath("bert"));
  const weights = counting("an upload", all.get("model.safetensors")!);
  let [opened, closed] = [0, 0];
  const source: ByteSource = {
    ...weights,
    read: () => Promise.reject(new Error("read without being opened")),
    async open() {
      opened++;
      const close = async (): Promise<void> => void closed++;
      return { ...weights, close, [Symbol.asyncDispose]: close };
    },
  };
  const files = memoryFiles("upload", [...all, ["model.safetensors", source] as const]);
  const tokenizer = await openTokenizer(files);
  const host = { ...portableHost, hash: async () => "sha256:upload" };
  await using backbone = await parseBackbone(files, { engine: create(), tokenizer, host });
  const before = opened;
  expect(await embedTexts(texts, backbone)).toHaveLength(texts.length);
  expect([opened - before, closed]).toEqual([1, opened]);
});

test("the reference engine reads the same weights", async () => {
  const files = memoryFiles("bert", await contents(goldenPath("bert")));
  const tokenizer = await openTokenizer(files);
  await using exact = await parseBackbone(files, { engine: referenceEngine(), tokenizer });
  expect(exact.id).toBe("bert");
  const [[expected], [got]] = [
    await embedTexts(["w1 w2"], exact),
    await embedTexts(["w1 w2"], await parse(files)),
  ];
  for (const [i, value] of expected!.entries()) expect(got![i]).toBeCloseTo(value, 5);
});

test("what is missing or damaged is refused by the name that messages have for it", async () => {
  const all = await contents(goldenPath("bert"));
  const without = (file: string): Files =>
    memoryFiles(
      "upload",
      [...all].filter(([name]) => name !== file),
    );
  await expect(parse(without("config.json"))).rejects.toThrow(
    "upload/config.json: expected a JSON file: no such file.",
  );
  await expect(parse(without("model.safetensors"))).rejects.toThrow(
    "upload: expected model.safetensors or model.safetensors.index.json, found none of them.",
  );
  const cut = new Map(all).set("model.safetensors", all.get("model.safetensors")!.subarray(0, 5000));
  await expect(parse(memoryFiles("upload", cut))).rejects.toMatchObject({
    code: "FILE_INVALID",
    message: expect.stringMatching(/^upload\/model\.safetensors: /),
  });
  const reason = new Error("enough");
  const files = memoryFiles("bert", all);
  const tokenizer = await openTokenizer(files);
  await expect(parseBackbone(files, { engine, tokenizer, signal: AbortSignal.abort(reason) })).rejects.toBe(
    reason,
  );
});
