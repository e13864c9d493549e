/** A backbone is known by every byte of it: two that answer otherwise never pass for one another. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { nodeEngine } from "ptuning/engine";
import { type Backbone, loadBackbone, readWeight, withPrecision } from "ptuning/internal/backbones";
import { openFile, readSafetensorsHeader, type TensorEntry } from "ptuning/internal/files";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tinyFolder } from "../support/tiny.ts";

const engine = nodeEngine({ threads: 1 });
let folder: string;
let original: Backbone;
let bytes: Buffer;
let tensors: [string, TensorEntry][];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-fingerprint-"));
  original = await loadBackbone(tinyFolder, { engine });
  const path = join(tinyFolder, "model.safetensors");
  bytes = await readFile(path);
  const source = await openFile(path);
  tensors = [...(await readSafetensorsHeader(source)).tensors];
  await source.close();
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

/** A copy of the backbone under the same name, with one file changed. */
async function changed(where: string, file: string, content: string | Uint8Array): Promise<Backbone> {
  const copy = join(folder, where, "tiny-bert");
  await mkdir(copy, { recursive: true });
  for (const name of await readdir(tinyFolder)) await copyFile(join(tinyFolder, name), join(copy, name));
  await writeFile(join(copy, file), content);
  return loadBackbone(copy, { engine });
}

function flipped({ offset }: TensorEntry, byte: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[offset + byte]! ^= 1 << bit;
  return copy;
}

test("a copy has the fingerprint of its original", async () => {
  expect(original.fingerprint).toMatch(/^sha256-v2:[0-9a-f]{64}$/);
  const copy = await changed("copy", "model.safetensors", bytes);
  expect(copy.fingerprint).toBe(original.fingerprint);
});

test("one flipped bit in any tensor makes another backbone, and other int8 weights", async () => {
  const seen = new Map([[original.fingerprint, "original"]]);
  const folders = new Set<string>();
  const int8Folder = async (backbone: Backbone): Promise<string> => {
    const { weights } = await withPrecision(backbone, "int8");
    return dirname([...weights.values()][0]!.source.path!);
  };
  folders.add(await int8Folder(original));
  let runs = 0;
  const change = fc
    .constantFrom(...tensors)
    .chain(([name, entry]) =>
      fc.tuple(fc.constant(name), fc.constant(entry), fc.nat(entry.byteLength - 1), fc.nat(7)),
    );
  await fc.assert(
    fc.asyncProperty(change, async ([name, entry, byte, bit]) => {
      const key = `${name} ${byte} ${bit}`;
      const one = await changed("flipped", "model.safetensors", flipped(entry, byte, bit));
      const known = seen.get(one.fingerprint);
      expect(known ?? key).toBe(key);
      // Zeros, subnormals and NaN are numbers like others here; rounding them is another matter.
      if (known === undefined && bit < 6 && ++runs <= 12) {
        const own = await int8Folder(one);
        expect(folders).not.toContain(own);
        folders.add(own);
      }
      seen.set(one.fingerprint, key);
    }),
    { numRuns: 150 },
  );
}, 120_000);

test("two checkpoints that differ in one bias of one layer are two, also in int8", async () => {
  const name = "encoder.layer.1.output.dense.bias";
  const [, entry] = tensors.find(([one]) => one === name)!;
  const copy = Buffer.from(bytes);
  for (let i = 0; i < entry.byteLength; i += 4)
    copy.writeFloatLE(copy.readFloatLE(entry.offset + i) + 3, entry.offset + i);
  const other = await changed("bias", "model.safetensors", copy);
  expect(other.fingerprint).not.toBe(original.fingerprint);
  // What was sampled before is the same: this is what made one serve the other's weights.
  expect(other.parameterCount).toBe(original.parameterCount);
  const [own, theirs] = await Promise.all(
    [original, other].map(async (one) => {
      const { weights } = await withPrecision(one, "int8");
      return readWeight(weights, name, one.id);
    }),
  );
  expect(Array.from(theirs!.data, (value, i) => value - own!.data[i]!)).toEqual(
    expect.arrayContaining([expect.closeTo(3, 4)]),
  );
});

describe("what else changes answers is seen", () => {
  const config = async (change: object): Promise<string> =>
    JSON.stringify({ ...JSON.parse(await readFile(join(tinyFolder, "config.json"), "utf8")), ...change });

  test("the configuration, the vocabulary, the case of letters", async () => {
    const vocab = await readFile(join(tinyFolder, "vocab.txt"), "utf8");
    const others = [
      await changed("eps", "config.json", await config({ layer_norm_eps: 1e-3 })),
      await changed("vocab", "vocab.txt", vocab.replace("w1\nw2\n", "w2\nw1\n")),
      await changed("case", "tokenizer_config.json", '{"do_lower_case": false}'),
      await changed("mask", "special_tokens_map.json", '{"mask_token": "w3"}'),
    ];
    expect(new Set([original, ...others].map(({ fingerprint }) => fingerprint)).size).toBe(5);
  });

  test("what a program writes beside it is not", async () => {
    const named = await changed(
      "named",
      "tokenizer_config.json",
      '{"name_or_path": "somewhere", "model_max_length": 512}',
    );
    expect(named.fingerprint).toBe(original.fingerprint);
  });
});

describe("hashes are kept", () => {
  const load = async (place: string, cache: string): Promise<string> =>
    (await loadBackbone(place, { engine, env: { PTUNING_CACHE: cache } })).fingerprint;

  test("by what tells a changed file: also one of the same size with its time set back", async () => {
    const cache = join(folder, "cache");
    const copy = await changed("kept", "model.safetensors", bytes);
    const path = join(copy.folder, "model.safetensors");
    // A file that was just written may change again within the same time stamp.
    expect(await load(copy.folder, cache)).toBe(original.fingerprint);
    expect(await readdir(cache).catch(() => [])).toEqual([]);
    const past = new Date("2024-01-02T03:04:05Z");
    await utimes(path, past, past);
    await delay(2200);
    expect(await load(copy.folder, cache)).toBe(original.fingerprint);
    const [entry] = await readdir(join(cache, "hashes"));
    const entryPath = join(cache, "hashes", entry!);
    const kept = await readFile(entryPath, "utf8");
    // It is what the next load takes …
    await writeFile(entryPath, kept.replace(/"sha256":"\w+"/, `"sha256":"${"0".repeat(64)}"`));
    expect(await load(copy.folder, cache)).not.toBe(original.fingerprint);
    // … unless it is damaged …
    for (const damaged of ["", "null", "{}", kept.slice(0, -9), kept.replace(/"sha256":"../, '"sha256":"')]) {
      await writeFile(entryPath, damaged);
      expect(await load(copy.folder, cache)).toBe(original.fingerprint);
    }
    // … or of another state of the file.
    await writeFile(entryPath, kept);
    await writeFile(path, flipped(tensors[3]![1], 1, 1), { flag: "r+" });
    await utimes(path, past, past);
    expect((await stat(path)).mtimeMs).toBe(past.getTime());
    expect(await load(copy.folder, cache)).not.toBe(original.fingerprint);
  });

  test("where there is a cache: without one a backbone loads all the same", async () => {
    const blocked = join(folder, "blocked");
    await writeFile(blocked, "");
    await delay(2200);
    expect(await load(tinyFolder, blocked)).toBe(original.fingerprint);
    expect(await load(tinyFolder, join(blocked, "deeper"))).toBe(original.fingerprint);
  });
});
