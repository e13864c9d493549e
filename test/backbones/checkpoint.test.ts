/** Which files and which names a backbone's weights are taken from, and what is refused. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import fc from "fast-check";
import { nodeEngine } from "ptuning/engine";
import {
  type Backbone,
  type LoadBackboneOptions,
  loadBackbone,
  readWeight,
} from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { embedTexts } from "ptuning/internal/predict";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { one, op, torchFile, zipOf } from "../support/pickles.ts";
import { tinyFolder, tinyLmFolders } from "../support/tiny.ts";

const engine = nodeEngine({ threads: 1 });
let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-checkpoint-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const read = async (source: string): Promise<Record<string, Tensor>> =>
  (await readSafetensors(join(source, "model.safetensors"))).tensors;

/** A backbone with these files of weights in place of its own. */
async function place(
  files: Readonly<Record<string, Uint8Array | string>>,
  source = tinyFolder,
): Promise<string> {
  const path = join(folder, String(count++), "tiny");
  await mkdir(path, { recursive: true });
  const others = (await readdir(source)).filter((name) => name !== "model.safetensors");
  for (const name of others) await copyFile(join(source, name), join(path, name));
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
  return path;
}

const load = async (
  files: Readonly<Record<string, Uint8Array | string>>,
  options: LoadBackboneOptions & { source?: string } = {},
): Promise<Backbone> => loadBackbone(await place(files, options.source), { engine, ...options });

const index = (map: Readonly<Record<string, unknown>>): string => JSON.stringify({ weight_map: map });

/** The tensors in two parts, and the file of each by its name. */
function halves(tensors: Readonly<Record<string, Tensor>>, files: readonly [string, string]) {
  const names = Object.keys(tensors).sort();
  const fileOf = (i: number): string => files[i < names.length / 2 ? 0 : 1];
  const map = Object.fromEntries(names.map((name, i) => [name, fileOf(i)]));
  const part = (file: string): Record<string, Tensor> =>
    Object.fromEntries(names.filter((name) => map[name] === file).map((name) => [name, tensors[name]!]));
  return { map, first: part(files[0]), second: part(files[1]) };
}

describe("which files", () => {
  test("safetensors before PyTorch's, one file before several", async () => {
    const tensors = await read(tinyFolder);
    const wrong = Object.fromEntries(
      Object.entries(tensors).map(([name, { shape, data }]): [string, Tensor] => [
        name,
        { dtype: "float32", shape, data: Float32Array.from(data as Float32Array, () => 7) },
      ]),
    );
    const parts = halves(wrong, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]);
    const sharded = {
      "model.safetensors.index.json": index(parts.map),
      "model-00001-of-00002.safetensors": encodeSafetensors(parts.first),
      "model-00002-of-00002.safetensors": encodeSafetensors(parts.second),
    };
    const fileOf = async (backbone: Backbone): Promise<string> =>
      basename([...backbone.weights.values()][0]!.source.path!);
    const single = await load({
      ...sharded,
      "model.safetensors": encodeSafetensors(tensors),
      "pytorch_model.bin": torchFile(wrong),
    });
    expect(await fileOf(single)).toBe("model.safetensors");
    const several = await load({ ...sharded, "pytorch_model.bin": torchFile(tensors) });
    expect(await fileOf(several)).toMatch(/^model-0000\d-of/);
    const bin = await load({ "pytorch_model.bin": torchFile(tensors) });
    expect(await fileOf(bin)).toBe("pytorch_model.bin");
  });

  test("another model beside it is not it", async () => {
    const tensors = await read(tinyFolder);
    await expect(load({ "pytorch_model.generator.bin": torchFile(tensors) })).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringContaining("pytorch_model.bin"),
    });
  });

  test("what the index says to lie in another file is taken from there", async () => {
    const tensors = await read(tinyFolder);
    const { map, first, second } = halves(tensors, ["a.bin", "b.bin"]);
    const stale = Object.fromEntries(
      Object.entries(second).map(([name, { shape, data }]): [string, Tensor] => [
        name,
        { dtype: "float32", shape, data: new Float32Array(data.length) },
      ]),
    );
    const backbone = await load({
      "pytorch_model.bin.index.json": index(map),
      "a.bin": torchFile({ ...stale, ...first }),
      "b.bin": torchFile(second, "legacy"),
    });
    const name = Object.keys(second)[0]!;
    const { data } = await readWeight(backbone.weights, name, "tiny");
    expect(data).toEqual(second[name]!.data);
  });

  test.each<[string, Record<string, Uint8Array | string>, string]>([
    [
      "a file that is missing",
      { "pytorch_model.bin.index.json": index({ a: "a.bin" }) },
      "a.bin: expected weights, got no such file",
    ],
    ["a file elsewhere", { "pytorch_model.bin.index.json": index({ a: "../a.bin" }) }, '"../a.bin"'],
    ["the folder itself", { "pytorch_model.bin.index.json": index({ a: "." }) }, '"."'],
    ["a number", { "model.safetensors.index.json": index({ a: 7 }) }, "got 7"],
    ["no file", { "model.safetensors.index.json": index({}) }, "got none"],
    ["no map", { "pytorch_model.bin.index.json": "null" }, "got none"],
    ["nothing", {}, "pytorch_model.bin.index.json, found none"],
  ])("an index with %s is refused", async (_name, files, message) => {
    await expect(load(files)).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringContaining(message),
    });
  });

  test("a file that would run something is refused by what it would run", async () => {
    const attack = zipOf(
      op.dict(op.text("w"), op.global("posix", "system"), op.tuple(op.text("true")), op.reduce),
    );
    for (const files of [
      { "pytorch_model.bin": attack },
      { "pytorch_model.bin.index.json": index({ w: "x.bin" }), "x.bin": attack },
    ]) {
      await expect(load(files)).rejects.toMatchObject({
        code: "FILE_INVALID",
        message: expect.stringContaining('"posix.system"'),
        hint: expect.stringContaining("never run"),
      });
    }
    await expect(load({ "pytorch_model.bin": zipOf(one()) })).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringContaining("no such weight"),
    });
  });
});

describe("which names", () => {
  test("a weight that is there twice is refused, unless both are one", async () => {
    const tensors = await read(tinyFolder);
    const name = "embeddings.LayerNorm.weight";
    for (const other of [
      `bert.${name}`,
      `module.${name}`,
      `0.auto_model.${name}`,
      "embeddings.LayerNorm.gamma",
    ]) {
      await expect(
        load({ "pytorch_model.bin": torchFile({ ...tensors, [other]: tensors[name]! }) }),
      ).rejects.toMatchObject({
        code: "BACKBONE_INVALID",
        message: expect.stringMatching(
          new RegExp(`weight "${name}": expected it once, got .*${other.replaceAll(".", "\\.")}`),
        ),
      });
    }
  });

  test("the bias of the decoder stands in for the head's own, and gives way to it", async () => {
    const source = tinyLmFolders.bert;
    const { "cls.predictions.bias": bias, ...tensors } = await read(source);
    expect(bias!.shape).toEqual([40]);
    const other: Tensor = { ...bias!, data: (bias!.data as Float32Array).map((x) => x + 1) };
    const alias = { "cls.predictions.decoder.bias": other };
    const biasOf = async (all: Readonly<Record<string, Tensor>>): Promise<Float32Array> => {
      const { weights } = await load({ "pytorch_model.bin": torchFile(all) }, { source });
      return (await readWeight(weights, "lm_head.bias", "tiny")).data;
    };
    expect(await biasOf({ ...tensors, ...alias })).toEqual(other.data);
    expect(await biasOf({ ...tensors, ...alias, "cls.predictions.bias": bias! })).toEqual(bias!.data);
    expect(await biasOf({ ...tensors, "cls.predictions.bias": bias!, ...alias })).toEqual(bias!.data);
  });

  test("weights that another program quantised are refused by their type", async () => {
    const tensors = await read(tinyFolder);
    const name = "encoder.layer.0.output.dense.weight";
    const shape = tensors[name]!.shape;
    const quantised: Tensor = { dtype: "int8", shape, data: new Int8Array(shape[0]! * shape[1]!) };
    for (const files of [
      { "pytorch_model.bin": torchFile({ ...tensors, [name]: quantised }) },
      { "model.safetensors": encodeSafetensors({ ...tensors, [name]: quantised }) },
    ]) {
      await expect(load(files)).rejects.toMatchObject({
        code: "BACKBONE_INVALID",
        message: expect.stringMatching(/dense\.weight": expected floats, got int8/),
      });
    }
  });
});

describe("every byte counts", () => {
  test("one flipped bit anywhere in a file of PyTorch makes another backbone, or none", async () => {
    const tensors = await read(tinyFolder);
    for (const form of ["zip", "legacy"] as const) {
      const bytes = torchFile(tensors, form);
      const original = (await load({ "pytorch_model.bin": bytes })).fingerprint;
      await fc.assert(
        fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
          const changed = Buffer.from(bytes);
          changed[at]! ^= 1 << bit;
          const other = await load({ "pytorch_model.bin": changed }).catch(() => undefined);
          expect(other?.fingerprint).not.toBe(original);
        }),
        { numRuns: 60 },
      );
    }
  });
});

describe("weights that are copied", () => {
  const doubled = async (): Promise<Buffer> => {
    const tensors = await read(tinyFolder);
    return torchFile(
      Object.fromEntries(
        Object.entries(tensors).map(([name, { shape, data }]): [string, Tensor] => [
          name,
          { dtype: "float64", shape, data: Float64Array.from(data as Float32Array) },
        ]),
      ),
    );
  };

  test("lie in our cache, once, and are made again where they are damaged", async () => {
    const cache = join(folder, "cache");
    const path = await place({ "pytorch_model.bin": await doubled() });
    const options = { engine, env: { PTUNING_CACHE: cache } };
    const first = await loadBackbone(path, options);
    const [entry] = await readdir(join(cache, "copied"));
    const copy = join(cache, "copied", entry!, "model.safetensors");
    const made = await readFile(copy);
    await loadBackbone(path, options);
    expect(await readdir(join(cache, "copied"))).toEqual([entry]);
    await writeFile(copy, made.subarray(0, 100));
    const again = await loadBackbone(path, options);
    expect(await readFile(copy)).toEqual(made);
    expect(again.weights).toEqual(first.weights);
  });

  test("are those of files that lie in several folders, as links of a cache may", async () => {
    const tensors = await read(tinyFolder);
    const { map, first, second } = halves(tensors, ["a.bin", "b.bin"]);
    const path = await place({ "pytorch_model.bin.index.json": index(map) });
    for (const [name, part] of [["a.bin", first] as const, ["b.bin", second] as const]) {
      const real = join(path, "..", name.slice(0, 1));
      await mkdir(real);
      await writeFile(join(real, name), torchFile(part));
      await symlink(join(real, name), join(path, name));
    }
    const backbone = await loadBackbone(path, { engine });
    const plain = await loadBackbone(tinyFolder, { engine });
    expect(new Set([...backbone.weights.values()].map(({ source }) => dirname(source.path!))).size).toBe(1);
    expect(await embedTexts(["w1 w2"], backbone)).toEqual(await embedTexts(["w1 w2"], plain));
  });

  test("are not made where the signal says so", async () => {
    const reason = new Error("enough");
    const path = await place({ "pytorch_model.bin": await doubled() });
    const stopping = new AbortController();
    const loading = loadBackbone(path, {
      engine,
      env: { PTUNING_CACHE: join(folder, "stopped") },
      signal: stopping.signal,
    });
    stopping.abort(reason);
    await expect(loading).rejects.toBe(reason);
  });

  test("lie beside where the cache cannot be written", async () => {
    const blocked = join(folder, "blocked");
    await writeFile(blocked, "");
    const path = await place({ "pytorch_model.bin": await doubled() });
    const backbone = await loadBackbone(path, { engine, env: { PTUNING_CACHE: blocked } });
    const plain = await loadBackbone(tinyFolder, { engine });
    for (const name of plain.weights.keys())
      expect(await readWeight(backbone.weights, name, "tiny")).toEqual(
        await readWeight(plain.weights, name, "tiny"),
      );
  });
});
