/** Adapter folders that were changed by hand or made to harm. */
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAdapter, openAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification, taskFamilies, taskFrom } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions } from "../support/tiny.ts";

type Json = Record<"method" | "task" | "backbone", Record<string, unknown> & { options: object }>;

let backbone: Backbone;
let folder: string;
let sound: string;
let theirs: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-hostile-"));
  const trained = async (change: Partial<TrainOptions>) =>
    ofType(await eventsOf(tinyOptions(backbone, { epochs: 1, ...change })), "done")[0]!.adapter;
  [sound, theirs] = [join(folder, "sound"), join(folder, "theirs")];
  await (await trained({})).save(sound);
  const task = sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as TrainOptions["task"];
  await (await trained({ task, method: deepPrompt({ preset: "peft", promptLength: 3 }) })).save(theirs);
  await rm(join(theirs, "ptuning.json"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

let copies = 0;
async function copy(of = sound): Promise<string> {
  const target = join(folder, `copy-${copies++}`);
  await cp(of, target, { recursive: true });
  return target;
}

async function changed(file: string, edit: (json: Json) => unknown, of = sound): Promise<string> {
  const path = await copy(of);
  const json = JSON.parse(await readFile(join(path, file), "utf8"));
  edit(json);
  await writeFile(join(path, file), JSON.stringify(json));
  return path;
}

async function withTensors(
  edit: (tensors: Record<string, Tensor>) => Record<string, Tensor>,
): Promise<string> {
  const path = await copy();
  const file = join(path, "adapter_model.safetensors");
  await writeFile(file, encodeSafetensors(edit((await readSafetensors(file)).tensors)));
  return path;
}

const refused = (path: string, message: RegExp): Promise<unknown> =>
  expect(loadAdapter(path)).rejects.toMatchObject({
    code: "ADAPTER_INVALID",
    message: expect.stringMatching(message),
  });

describe("what a sidecar says", () => {
  const method = (options: object) => (json: Json) => Object.assign(json.method.options, options);
  const task = (options: object) => (json: Json) => Object.assign(json.task.options, options);
  const reference = (fields: object) => (json: Json) => Object.assign(json.backbone, fields);
  test.each<[string, (json: Json) => unknown, RegExp]>([
    [
      "layers without end",
      reference({ numLayers: 2147483647 }),
      /backbone\.numLayers: expected number to be <=1000, got 2147483647/,
    ],
    ["hidden size without end", reference({ hiddenSize: 2147483647 }), /backbone\.hiddenSize/],
    [
      "a prompt without end",
      method({ promptLength: 1e9 }),
      /promptLength: expected number to be <=10000, got 1000000000/,
    ],
    ["a network without end", method({ prefixHiddenSize: 2 ** 31 }), /prefixHiddenSize/],
    ["layers as a number", method({ promptLayers: 5 }), /promptLayers/],
    ["no layers", method({ promptLayers: null }), /promptLayers/],
    ["layers as a text", method({ promptLayers: "first" }), /promptLayers/],
    ["layers as a list of texts", method({ promptLayers: ["0"] }), /promptLayers/],
    ["layers as an object", method({ promptLayers: { middle: 1 } }), /promptLayers/],
    ["a key of nothing", method({ promptLenght: 3 }), /expected known keys, got "promptLenght"/],
    ["a text that is no text", method({ init: { toString: 1 } }), /init/],
    ["pooling as a property of objects", task({ pooling: "constructor" }), /pooling/],
    ["labels as numbers", task({ labels: [1, 2, 3] }), /task\.options\.labels\.0: expected string, got 1/],
    ["labels as objects", task({ labels: [{}, {}, {}] }), /labels\.0: expected string/],
    ["labels twice", task({ labels: ["a", "a", "b"] }), /labels: expected different labels/],
    ["weights that are no numbers", task({ classWeights: { a: "1" } }), /classWeights/],
    [
      "a blank fingerprint",
      reference({ fingerprint: "" }),
      /backbone\.fingerprint: expected a method and a hash/,
    ],
    ["a fingerprint of blanks", reference({ fingerprint: "  " }), /backbone\.fingerprint/],
    ...["../x", "/abs/olute", "a/b/c", "..", "./x", "C:\\models", "~/x", "x/..", "a\u0000b"].map(
      (id): [string, (json: Json) => unknown, RegExp] => [
        `a path as the backbone: ${JSON.stringify(id)}`,
        reference({ id }),
        /backbone\.id: expected a hub id or the name of a folder, no path/,
      ],
    ),
    ["a head of no bound", (json) => Object.assign(json, { maxLength: 2 ** 40 }), /maxLength/],
    ["another task", (json) => Object.assign(json.task, { type: "constructor" }), /task: expected one of/],
    [
      "another method",
      (json) => Object.assign(json.method, { name: "__proto__" }),
      /method: expected one of/,
    ],
    [
      "a deep value",
      (json) => Object.assign(json.method.options, { init: JSON.parse("[".repeat(2000) + "]".repeat(2000)) }),
      /init/,
    ],
  ])("%s is refused", async (_, edit, message) => {
    const started = performance.now();
    await refused(await changed("ptuning.json", edit), message);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("a nesting without end is refused", async () => {
    const path = await copy();
    await writeFile(join(path, "ptuning.json"), `{"method":${"[".repeat(200_000)}${"]".repeat(200_000)}}`);
    await refused(path, /ptuning\.json/);
  });

  test.each([
    ["num_layers", 2147483647],
    ["num_virtual_tokens", 1e9],
    ["token_dim", 1e12],
    ["num_attention_heads", 0],
  ])("PEFT's %s has bounds", async (key, value) => {
    await refused(
      await changed("adapter_config.json", (json) => Object.assign(json, { [key]: value }), theirs),
      new RegExp(key),
    );
  });

  test.each([
    ["/home/me/models/bert-base", "bert-base"],
    ["C:\\models\\bert", "bert"],
    ["../up/..", ""],
    ["owner/name", "owner/name"],
  ])("where PEFT found the backbone is not where we look: %s", async (place, id) => {
    const path = await changed(
      "adapter_config.json",
      (json) => Object.assign(json, { base_model_name_or_path: place }),
      theirs,
    );
    const adapter = await loadAdapter(path);
    expect(adapter.backbone.id).toBe(id);
    // What nobody knows stays unknown in our own files.
    await adapter.save(`${path}-ours`);
    const { backbone: saved } = JSON.parse(await readFile(join(`${path}-ours`, "ptuning.json"), "utf8"));
    expect(saved).toMatchObject({ id, fingerprint: null });
    expect((await loadAdapter(`${path}-ours`)).backbone).toEqual(adapter.backbone);
  });
});

test("every family reads back the options that it writes, and no others", () => {
  for (const { type, create, sample } of taskFamilies) {
    const { options } = create(sample);
    expect(taskFrom(type, JSON.parse(JSON.stringify(options))).options).toEqual(options);
    expect(() => taskFrom(type, { ...options, nothing: 1 })).toThrow(/expected known keys, got "nothing"/);
    for (const key of Object.keys(options))
      expect(() => taskFrom(type, { ...options, [key]: { toString: null } }), `${type} ${key}`).toThrow(key);
  }
});

describe("tensors", () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "%d is refused by name",
    async (value) => {
      const path = await withTensors((tensors) => {
        (tensors["prompt.embeddings"]!.data as Float32Array)[5] = value;
        return tensors;
      });
      await refused(
        path,
        /tensor "prompt\.embeddings": expected finite numbers, got -?(NaN|Infinity) at place 5/,
      );
    },
  );

  test("names that objects have anyway are names as others", async () => {
    for (const name of ["__proto__", "constructor", "toString"]) {
      const path = await withTensors((tensors) =>
        Object.fromEntries([...Object.entries(tensors), [name, tensors["head.bias"]!]]),
      );
      const adapter = await loadAdapter(path);
      expect(Object.keys(adapter.params)).toContain(name);
    }
  });

  test("100,000 names are read in seconds", async () => {
    const path = await withTensors(() => {
      const data = new Float32Array(1);
      return Object.fromEntries(
        Array.from({ length: 100_000 }, (_, i) => [`t${i}`, { dtype: "float32", shape: [1], data }]),
      );
    });
    const before = process.cpuUsage();
    expect(Object.keys((await loadAdapter(path)).params)).toHaveLength(100_000);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(5);
  }, 60_000);

  test("a name of megabytes is read, and cut in messages", async () => {
    const data = new Int8Array(1);
    const path = await withTensors(() => ({ ["n".repeat(5_000_000)]: { dtype: "int8", shape: [1], data } }));
    const error: Error = await loadAdapter(path).then(
      () => expect.unreachable(),
      (thrown) => thrown,
    );
    expect(error).toMatchObject({ code: "ADAPTER_INVALID" });
    expect(error.message.length).toBeLessThan(1000);
  });
});

describe.skipIf(process.platform === "win32")("only files are read", () => {
  const devices: [string, (path: string) => Promise<unknown> | unknown][] = [
    ["a named pipe", (path) => spawnSync("mkfifo", [path])],
    ["an endless device", (path) => symlink("/dev/urandom", path)],
    ["a folder", (path) => cp(sound, path, { recursive: true })],
  ];
  const files = ["ptuning.json", "adapter_config.json", "adapter_model.safetensors"];
  const cases = devices.flatMap(([what, make]) => files.map((file) => [what, file, make] as const));
  test.each(cases)("%s as %s of an adapter", async (_, file, make) => {
    const path = await copy();
    await rm(join(path, file));
    await make(join(path, file));
    await expect(openAdapter(path)).rejects.toMatchObject({ code: "ADAPTER_INVALID" });
  });

  const own = ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"];
  test.each(devices.flatMap(([what, make]) => own.map((file) => [what, file, make] as const)))(
    "%s as %s of a backbone",
    async (_, file, make) => {
      const path = join(folder, `backbone-${copies++}`);
      await cp(backbone.folder, path, { recursive: true });
      await rm(join(path, file), { force: true });
      await make(join(path, file));
      await expect(loadBackbone(path)).rejects.toMatchObject({ name: "PtuningError" });
    },
  );
});
