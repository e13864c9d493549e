/** LoRA adapters of PEFT by their files alone: what is read, and what would compute something else. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Adapter, attach, loadAdapter, referenceTo } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { floats, type Params, Rng } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { lora } from "ptuning/internal/methods";
import { initializeParams } from "ptuning/internal/model";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyBackbone } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
let saved: Adapter;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-lora-files-"));
  const task = sequenceClassification({ labels: ["a", "b"], preset: "peft" }) as Task;
  const method = lora({ rank: 4, alpha: 6 });
  const params = await initializeParams({ backbone, method, head: task.head }, new Rng(1));
  const provenance = { createdAt: "", versions: {} };
  saved = new Adapter({ task, method, params, backbone: referenceTo(backbone), maxLength: 16, provenance });
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

/** A folder as PEFT leaves one, changed. */
async function theirs(
  change: (config: Record<string, unknown>) => object = (config) => config,
  tensors: (params: Params) => Params = (params) => params,
): Promise<string> {
  const path = await mkdtemp(join(folder, "adapter-"));
  await rm(path, { recursive: true });
  await saved.save(path);
  await rm(join(path, "ptuning.json"));
  const [config, weights] = [join(path, "adapter_config.json"), join(path, "adapter_model.safetensors")];
  await writeFile(config, JSON.stringify(change(JSON.parse(await readFile(config, "utf8")))));
  await writeFile(weights, encodeSafetensors(tensors((await readSafetensors(weights)).tensors as Params)));
  return path;
}

/** On the tiny backbone, which has no place for the usual length. */
function putOn(adapter: Adapter): void {
  attach(new Adapter({ ...adapter, maxLength: 16 }), backbone);
}

test("what PEFT writes is read: names, scale, and the ends of names where they say it all", async () => {
  const path = await theirs((config) => ({ ...config, target_modules: ["value", "query", "unused"] }));
  const adapter = await loadAdapter(path, { labels: ["a", "b"] });
  expect(adapter.method.options).toEqual({
    ...{ rank: 4, alpha: 6, dropout: 0, layers: "all" },
    targets: ["query", "value"],
  });
  expect(adapter.params).toEqual(saved.params);
  expect(adapter.backbone).toMatchObject({
    modelType: "bert",
    hiddenSize: 32,
    numLayers: 0,
    fingerprint: "",
  });
  expect(() => putOn(adapter)).not.toThrow();
  // Ours again: what nobody knows stays unknown.
  const again = join(folder, "again");
  await adapter.save(again);
  const sidecar = JSON.parse(await readFile(join(again, "ptuning.json"), "utf8"));
  expect(sidecar.backbone).toMatchObject({ numLayers: null, numHeads: null, fingerprint: null });
  const loaded = await loadAdapter(again);
  expect(loaded.params).toEqual(saved.params);
  expect(loaded.backbone).toEqual(adapter.backbone);
});

test("modules are those of the tensors, whatever pattern chose them", async () => {
  const one = (params: Params): Params =>
    Object.fromEntries(Object.entries(params).filter(([name]) => !name.includes("layer.0.")));
  const path = await theirs((config) => ({ ...config, target_modules: ".*layer.1.*(query|value)" }), one);
  const adapter = await loadAdapter(path);
  expect(adapter.method.options.targets).toEqual([
    "bert.encoder.layer.1.attention.self.query",
    "bert.encoder.layer.1.attention.self.value",
  ]);
  expect(() => putOn(adapter)).not.toThrow();
});

test.each([
  [{ use_dora: true }, /use_dora: expected nothing, got true/],
  [{ bias: "all" }, /bias: expected none, got "all"/],
  [{ rank_pattern: { query: 2 } }, /rank_pattern: expected nothing, got/],
  [{ alpha_pattern: { query: 2 } }, /alpha_pattern: expected nothing, got/],
  [{ layer_replication: [[0, 1]] }, /layer_replication: expected nothing, got/],
  [
    { init_lora_weights: "pissa_niter_4" },
    /init_lora_weights: expected a start that leaves the backbone as it is/,
  ],
  [{ r: 0 }, /r: expected/],
  [{ r: 5_000 }, /r: expected/],
  [{ lora_alpha: "8" }, /lora_alpha: expected number, got "8"/],
  [{ lora_dropout: 1 }, /lora_dropout: expected/],
  [{ peft_type: "ADALORA" }, /peft_type: expected one of .*LORA, got "ADALORA"/],
] as [object, RegExp][])("%j is refused by name", async (change, message) => {
  const error = await loadAdapter(await theirs((config) => ({ ...config, ...change }))).catch(
    (thrown) => thrown,
  );
  expect(error).toMatchObject({ code: "ADAPTER_INVALID" });
  expect(error.message).toMatch(message);
});

test.each(["gaussian", "eva", "orthogonal", true, false, null])(
  "a start by %j is only a start",
  async (start) => {
    const path = await theirs((config) => ({ ...config, init_lora_weights: start }));
    expect((await loadAdapter(path)).method.name).toBe("lora");
  },
);

test("stabilised scales become alphas", async () => {
  const path = await theirs((config) => ({ ...config, use_rslora: true }));
  expect((await loadAdapter(path)).method.options.alpha).toBe(12);
});

test("tensors that do not fit are refused", async () => {
  const name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight";
  const put = async (tensors: (params: Params) => Params): Promise<void> =>
    putOn(await loadAdapter(await theirs((config) => config, tensors)));
  await expect(
    put((params) => ({ ...params, [name]: floats([3, 32], new Float32Array(96)) })),
  ).rejects.toThrow(
    /tensor "lora\.bert\.encoder\.layer\.0\.attention\.self\.query\.A": expected \[4,32\], got \[3,32\]/,
  );
  await expect(put(({ [name]: _, ...params }) => params)).rejects.toThrow(
    /query\.A": expected \[4,32\], got none/,
  );
  const wordTable = "base_model.model.bert.embeddings.word_embeddings.lora_A.weight";
  await expect(
    put((params) => ({ ...params, [wordTable]: floats([4, 1], new Float32Array(4)) })),
  ).rejects.toThrow(/targets: expected all, or ends of the names of linear layers .*word_embeddings/);
  const foreign = (params: Params): Params =>
    Object.fromEntries(
      Object.entries(params).map(([key, tensor]) => [key.replace(".bert.", ".gpt9."), tensor]),
    );
  await expect(put(foreign)).rejects.toThrow(/expected tensors of an architecture that we know/);
  const none = (params: Params): Params =>
    Object.fromEntries(Object.entries(params).filter(([key]) => !key.includes("lora_")));
  await expect(put(none)).rejects.toThrow(/target_modules: expected tensors of adapted modules beside it/);
});
