import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Adapter, loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, catalog, loadBackbone } from "ptuning/internal/backbones";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification, type TextPrediction } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions, writeTinyBackbone } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-adapters-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

async function trained(change: Partial<TrainOptions> = {}): Promise<Adapter> {
  return ofType(await eventsOf(tinyOptions(backbone, { epochs: 2, ...change })), "done")[0]!.adapter;
}

async function probabilities(adapter: Adapter): Promise<number[][]> {
  const predictor = await createPredictor<unknown, TextPrediction>(adapter, backbone, { precision: "fp32" });
  const predictions = await predictor.predict(tinyData.dev);
  await predictor.close();
  return predictions.map((prediction) => Object.values(prediction.probabilities));
}

const asPeft = (options: object = {}): Partial<TrainOptions> => ({
  task: sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as TrainOptions["task"],
  method: deepPrompt({ preset: "peft", promptLength: 3, ...options }),
});

describe("saving and loading", () => {
  test.each([
    ["mean pooling", {}],
    ["the peft preset", asPeft()],
    [
      "some layers",
      { method: deepPrompt({ promptLength: 2, promptLayers: { last: 1 }, positionOffset: false }) },
    ],
    [
      "an MLP, which is folded",
      { method: deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 8 }) },
    ],
    ["a gate", { method: deepPrompt({ promptLength: 3, gate: true }) }],
    ["a start from texts", { method: deepPrompt({ promptLength: 3, init: "activations" }) }],
  ] as const)("keeps every answer: %s", async (name, change) => {
    const adapter = await trained(change as Partial<TrainOptions>);
    const path = join(folder, name.replaceAll(" ", "-"));
    await adapter.save(path);
    expect((await readdir(path)).sort()).toEqual([
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
      "ptuning.json",
    ]);
    const loaded = await loadAdapter(path);
    expect(loaded.params).toEqual(adapter.params);
    expect(await probabilities(loaded)).toEqual(await probabilities(adapter));
    expect(Object.keys(loaded.params).filter((param) => param.includes("mlp"))).toEqual([]);
  });

  test("saving again replaces the adapter as a whole, and nothing else", async () => {
    const path = join(folder, "replaced");
    await (await trained()).save(path);
    const own = await readdir(path);
    await writeFile(join(path, "notes.txt"), "mine");
    await writeFile(join(path, "model.safetensors"), "of a checkpoint that was here before");
    await (await trained({ seed: 8 })).save(path);
    expect((await readdir(path)).sort()).toEqual([...own, "notes.txt"].sort());
    expect(await readFile(join(path, "notes.txt"), "utf8")).toBe("mine");
    expect((await readdir(folder)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("a folder with other files and no adapter is not an adapter's place", async () => {
    const path = join(folder, "project");
    await mkdir(path);
    const files = { "README.md": "my project", "config.json": "{}", "ptuning.json": "[1]" };
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
    await expect((await trained()).save(path)).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
      message: `${path}: expected an empty folder or an adapter, got other files (README.md, config.json, ptuning.json).`,
    });
    for (const [name, text] of Object.entries(files))
      expect(await readFile(join(path, name), "utf8")).toBe(text);
    expect(await readdir(path)).toHaveLength(3);
    await expect((await trained()).save(join(path, "README.md"))).rejects.toMatchObject({
      code: "OUTPUT_EXISTS",
    });
  });

  test("neither the folder nor the card holds a text of the data or a path of this machine", async () => {
    const path = join(folder, "private");
    await (await trained()).save(path);
    for (const file of await readdir(path)) {
      const content = await readFile(join(path, file), "latin1");
      expect(content).not.toContain(tinyData.train[0]!.text);
      expect(content).not.toContain(backbone.folder);
    }
    const card = await readFile(join(path, "README.md"), "utf8");
    for (const label of tinyData.labels) expect(card).toContain(label);
    expect(card).toMatch(/\| dev \| accuracy \| 0\.\d{4} \|/);
    expect(card).toMatch(/\| seed \| 5 \|/);
  });
});

describe("for PEFT", () => {
  test("the files are PEFT's where it computes the same function", async () => {
    const path = join(folder, "peft");
    await (await trained(asPeft())).save(path);
    const config = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({
      peft_type: "PREFIX_TUNING",
      task_type: "SEQ_CLS",
      base_model_name_or_path: "tiny-bert",
      num_virtual_tokens: 3,
      num_layers: 2,
      token_dim: 32,
      num_attention_heads: 4,
      prefix_projection: false,
      inference_mode: true,
    });
    const { tensors, metadata } = await readSafetensors(join(path, "adapter_model.safetensors"));
    expect(metadata).toEqual({ format: "pt" });
    expect(Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))).toEqual({
      prompt_embeddings: [3, 2 * 2 * 32],
      "base_model.classifier.weight": [3, 32],
      "base_model.classifier.bias": [3],
    });
  });

  test.each([
    ["partial depth", asPeft({ promptLayers: { first: 1 } })],
    ["no position offset", asPeft({ positionOffset: false })],
    ["a gate", asPeft({ gate: true })],
    ["another pooling", {}],
  ])("it is refused where PEFT would compute another: %s", async (name, change) => {
    const path = join(folder, `not-peft-${name.replaceAll(" ", "-")}`);
    await (await trained(change)).save(path);
    const config = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect(config.peft_type).toBe("PTUNING_DEEP_PROMPT");
    expect(config.not_for_peft).toMatch(/PEFT/);
    const { tensors } = await readSafetensors(join(path, "adapter_model.safetensors"));
    expect(Object.keys(tensors)).not.toContain("prompt_embeddings");
  });
});

test("the card names size and licence of a backbone of the catalog", async () => {
  const adapter = await trained();
  for (const { id, parameters, license } of catalog) {
    const path = join(folder, "card");
    await new Adapter({ ...adapter, backbone: { ...adapter.backbone, id } }).save(path);
    const card = await readFile(join(path, "README.md"), "utf8");
    expect(card).toContain(
      `The backbone has ${parameters.toLocaleString("en")} parameters (${id.includes("MiniLM") ? 92 : 439} MB) and the licence ${license}`,
    );
  }
  const path = join(folder, "no-card");
  await adapter.save(path);
  expect(await readFile(join(path, "README.md"), "utf8")).not.toContain("licence");
});

describe("loading checks", () => {
  let path: string;
  beforeAll(async () => {
    path = join(folder, "sound");
    await (await trained()).save(path);
  });
  const copy = async (name: string): Promise<string> => {
    const target = join(folder, name);
    await cp(path, target, { recursive: true });
    return target;
  };
  const change = async (file: string, edit: (json: Record<string, unknown>) => unknown): Promise<void> => {
    const json = JSON.parse(await readFile(file, "utf8"));
    await writeFile(file, JSON.stringify(edit(json) ?? json));
  };

  test("another backbone is refused, by fingerprint and by shape", async () => {
    const adapter = await loadAdapter(path);
    const other = await loadBackbone(writeTinyBackbone(join(folder, "tiny-bert"), 2), {
      engine: backbone.engine,
    });
    await expect(createPredictor(adapter, other)).rejects.toMatchObject({
      code: "ADAPTER_INCOMPATIBLE",
      message: expect.stringContaining("fingerprint"),
    });
    const wide = { ...backbone, config: { ...backbone.config, hiddenSize: 64 } };
    await expect(createPredictor(adapter, wide)).rejects.toMatchObject({
      code: "ADAPTER_INCOMPATIBLE",
      message: expect.stringContaining("expected a backbone of 2 layers and hidden size 32"),
    });
  });

  test.each(["", " ", "sha256:", "none"])(
    "a fingerprint of %j does not switch that off",
    async (fingerprint) => {
      const blank = await copy("blank");
      await change(join(blank, "ptuning.json"), (json) => ({
        ...json,
        backbone: { ...(json.backbone as object), fingerprint },
      }));
      await expect(loadAdapter(blank)).rejects.toMatchObject({
        code: "ADAPTER_INVALID",
        message: expect.stringMatching(/backbone\.fingerprint: expected a method and a hash/),
      });
    },
  );

  test("a backbone that is not known, or by an old fingerprint, is said", async () => {
    const own = await createPredictor(await loadAdapter(path), backbone);
    expect(own.warnings).toEqual([]);
    for (const [fingerprint, warning] of [
      [null, /does not say on which weights of tiny-bert/],
      [backbone.formerFingerprint, /old form that saw a part of the weights/],
    ] as const) {
      const unsure = await copy("unsure");
      await change(join(unsure, "ptuning.json"), (json) => ({
        ...json,
        backbone: { ...(json.backbone as object), fingerprint },
      }));
      const predictor = await createPredictor(await loadAdapter(unsure), backbone);
      expect(predictor.warnings).toEqual([expect.stringMatching(warning)]);
    }
  });

  test("tensors of other shapes, missing and surplus ones are named", async () => {
    const adapter = await loadAdapter(path);
    const { "head.bias": bias, ...without } = adapter.params;
    const attempts = [
      [without, 'tensor "head.bias": expected [3], got none'],
      [{ ...adapter.params, "head.extra": bias! }, 'tensor "head.extra": expected none, got [3]'],
      [
        { ...adapter.params, "head.bias": { ...bias!, shape: [1, 3] } },
        'tensor "head.bias": expected [3], got [1,3]',
      ],
    ] as const;
    for (const [params, message] of attempts) {
      const changed = Object.assign(Object.create(adapter), { params });
      await expect(createPredictor(changed, backbone)).rejects.toMatchObject({
        code: "ADAPTER_INCOMPATIBLE",
        message: expect.stringContaining(message),
      });
    }
  });

  test("a newer format version says so", async () => {
    const newer = await copy("newer");
    await change(join(newer, "ptuning.json"), (json) => ({ ...json, formatVersion: 99 }));
    await expect(loadAdapter(newer)).rejects.toMatchObject({
      code: "ADAPTER_INVALID",
      message: expect.stringMatching(/ptuning\.json: formatVersion: expected at most 4, got 99/),
      hint: expect.stringContaining("update"),
    });
  });

  test.each([
    ["a missing key", (json: Record<string, unknown>) => ({ ...json, maxLength: undefined }), "maxLength"],
    ["a wrong type", (json: Record<string, unknown>) => ({ ...json, maxLength: "long" }), "maxLength"],
    [
      "an unknown method",
      (json: Record<string, unknown>) => ({ ...json, method: { name: "magic", options: {} } }),
      "magic",
    ],
    [
      "an unknown task",
      (json: Record<string, unknown>) => ({ ...json, task: { type: "poetry", options: {} } }),
      "poetry",
    ],
    [
      "one label",
      (json: Record<string, unknown>) => ({
        ...json,
        task: { type: "text-classification", options: { labels: ["a"] } },
      }),
      "labels",
    ],
    ["a list", () => [], "expected"],
  ])("a damaged sidecar names file and field: %s", async (name, edit, word) => {
    const damaged = await copy(`damaged ${name}`);
    await change(join(damaged, "ptuning.json"), edit);
    await expect(loadAdapter(damaged)).rejects.toMatchObject({
      code: "ADAPTER_INVALID",
      message: expect.stringMatching(new RegExp(`ptuning\\.json: .*${word}`)),
    });
  });

  test("files cut off anywhere give an error of ours", async () => {
    for (const file of ["adapter_model.safetensors", "adapter_config.json", "ptuning.json"]) {
      const whole = await readFile(join(path, file));
      for (let length = 0; length < whole.length - 2; length += Math.ceil(whole.length / 23)) {
        const cut = await copy("cut");
        await writeFile(join(cut, file), whole.subarray(0, length));
        await expect(loadAdapter(cut)).rejects.toMatchObject({
          code: "ADAPTER_INVALID",
          message: expect.stringContaining(file),
        });
      }
    }
  });

  test("missing files and folders are named", async () => {
    await expect(loadAdapter(join(folder, "nowhere"))).rejects.toMatchObject({ code: "ADAPTER_INVALID" });
    const partial = await copy("partial");
    await rm(join(partial, "adapter_model.safetensors"));
    await expect(loadAdapter(partial)).rejects.toMatchObject({
      message: expect.stringContaining("adapter_model.safetensors"),
    });
    const bare = await copy("bare");
    await rm(join(bare, "ptuning.json"));
    await expect(loadAdapter(bare)).rejects.toMatchObject({
      message: expect.stringContaining("ptuning.json"),
    });
  });

  test("integers in the place of weights are refused by name", async () => {
    const half = await copy("integers");
    const { tensors } = await readSafetensors(join(half, "adapter_model.safetensors"));
    const { shape } = tensors["head.bias"]!;
    const changed = {
      ...tensors,
      "head.bias": { dtype: "int8", shape, data: new Int8Array(3) },
    } as const;
    await writeFile(join(half, "adapter_model.safetensors"), encodeSafetensors(changed));
    await expect(loadAdapter(half)).rejects.toMatchObject({
      code: "ADAPTER_INVALID",
      message: expect.stringContaining('"head.bias": expected F32, F16 or BF16, got int8'),
    });
  });

  test("an adapter that PEFT saved needs a head and may get label names", async () => {
    const theirs = join(folder, "theirs");
    await (await trained(asPeft())).save(theirs);
    await rm(join(theirs, "ptuning.json"));
    const loaded = await loadAdapter(theirs, { labels: ["x", "y", "z"] });
    expect(loaded.task.options.labels).toEqual(["x", "y", "z"]);
    expect((await loadAdapter(theirs)).task.options.labels).toEqual(["LABEL_0", "LABEL_1", "LABEL_2"]);
    await expect(loadAdapter(theirs, { labels: ["x"] })).rejects.toThrow(/labels: expected 3 names, got 1/);
    await change(join(theirs, "adapter_config.json"), (json) => ({ ...json, peft_type: "LOHA" }));
    await expect(loadAdapter(theirs)).rejects.toThrow(
      /peft_type: expected one of PREFIX_TUNING, PROMPT_TUNING, P_TUNING, LORA, got "LOHA"/,
    );
  });
});
