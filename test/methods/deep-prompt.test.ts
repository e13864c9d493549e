/** What deep prompts start from, and gates on them; the float64 states are PyTorch's (tools/reference/make_methods.py). */

import type { Dataset } from "ptuning/data";
import { nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { type Params, Rng } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import { type DeepPromptOptions, deepPrompt, promptEmbeddings } from "ptuning/internal/methods";
import { initializeParams, keysAndValues } from "ptuning/internal/model";
import { SequenceCollector, type TokenSequences } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import { familyOf, sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textFamilies, wordFamilies } from "../support/families.ts";
import { goldenPath, readGolden, relativeError } from "../support/golden.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions, tinyRoberta } from "../support/tiny.ts";

const { head } = sequenceClassification({ labels: ["a", "b"], pooling: "cls" });

describe("keys and values of words", () => {
  const E = 16;
  const P = 3;
  const stretch = 2 * E;
  const golden =
    readGolden<Record<"inputIds" | "tokenTypeIds" | "attentionMask", number[][]>>("bert/golden.json");
  let rows: number[][];
  let texts: TokenSequences;
  let backbone: Backbone;
  const [cls, sep] = [2, 3];
  beforeAll(async () => {
    const { tensors } = await readSafetensors(goldenPath("methods/golden.safetensors"));
    const { data, shape } = tensors["keys and values"]!;
    rows = Array.from({ length: shape[0]! }, (_, i) =>
      Array.from(data.slice(i * shape[1]!, (i + 1) * shape[1]!) as Float64Array),
    );
    const collected = new SequenceCollector();
    for (const [i, mask] of golden.attentionMask.entries()) {
      const real = (values: number[]): number[] => values.filter((_, s) => mask[s] === 1);
      collected.add(real(golden.inputIds[i]!), real(golden.tokenTypeIds[i]!), false);
    }
    texts = collected.finish();
    expect([...texts.ids]).not.toContain(cls);
    backbone = await loadBackbone(goldenPath("bert"), { engine: referenceEngine() });
  });

  const matrix = async (
    options: DeepPromptOptions,
    {
      seed = 1,
      labels = [],
      given = texts,
    }: { seed?: number; labels?: string[]; given?: TokenSequences } = {},
  ): Promise<number[][]> => {
    const method = deepPrompt({ promptLength: P, init: "activations", ...options });
    const params = await initializeParams({ backbone, method, head }, new Rng(seed), labels, given);
    const { shape, data } = params[promptEmbeddings]!;
    const [length, width] = shape as [number, number];
    return Array.from({ length }, (_, p) => Array.from(data.subarray(p * width, (p + 1) * width)));
  };
  /** The token whose keys and values these are, at the layers that are prompted. */
  const tokenOf = (row: number[], layers: number[]): number =>
    rows.findIndex((own) => {
      const expected = layers.flatMap((layer) => own.slice(layer * stretch, (layer + 1) * stretch));
      return relativeError(row, expected) < 1e-6;
    });

  test("are PyTorch's, of different words, one text each", async () => {
    const tokens = (await matrix({})).map((row) => tokenOf(row, [0, 1, 2]));
    expect(tokens).not.toContain(-1);
    const textsOf = tokens.map((token) => texts.starts.findIndex((start) => start > token));
    expect(new Set(textsOf).size).toBe(P);
    expect((await matrix({})).map((row) => tokenOf(row, [0, 1, 2]))).toEqual(tokens);
    expect((await matrix({}, { seed: 2 })).map((row) => tokenOf(row, [0, 1, 2]))).not.toEqual(tokens);
  });

  test("of the prompted layers only; every word once where prompts are as long as the texts", async () => {
    const some = (await matrix({ promptLayers: [0, 2] })).map((row) => tokenOf(row, [0, 2]));
    expect(some).not.toContain(-1);
    // Without the offset texts stand elsewhere than in the golden state.
    const all = await matrix({ promptLength: rows.length, positionOffset: false });
    expect(new Set(all.map(String)).size).toBe(rows.length);
  });

  test("never of special tokens", async () => {
    const collected = new SequenceCollector();
    collected.add([cls, 10, 11, sep], [0, 0, 0, 0], false);
    const given = collected.finish();
    expect(await matrix({ promptLength: 2 }, { given })).toHaveLength(2);
    await expect(matrix({ promptLength: 3 }, { given })).rejects.toThrow(
      "init: expected at least 3 words of training texts for activations, got 2.",
    );
  });

  test("of labels: the mean over the pieces of each, then words of texts", async () => {
    const plain = { init: "labels", positionOffset: false } as const;
    const start = await matrix(plain, { labels: ["w5 w6", "w7"] });
    const method = deepPrompt(plain);
    const words = await backbone.tokenizer.encode(["w5 w6", "w7"], 8);
    // [CLS] w5 w6 [SEP] [CLS] w7 [SEP]
    const { data } = await keysAndValues({ backbone, method, head }, backbone.engine, words, [1, 2, 5]);
    const own = [0, 1, 2].map((i) => Array.from(data.subarray(i * 3 * stretch, (i + 1) * 3 * stretch)));
    const mean = own[0]!.map((x, i) => (x + own[1]![i]!) / 2);
    expect(relativeError(start[0]!, mean)).toBeLessThan(1e-6);
    expect(relativeError(start[1]!, own[2]!)).toBeLessThan(1e-6);
    const rest = await matrix({ ...plain, init: "activations", promptLength: rows.length });
    expect(rest.map(String)).toContain(String(start[2]));
    expect(await matrix(plain, { labels: ["w5", "w6", "w7", "w8"] })).toHaveLength(P);
    await expect(matrix(plain)).rejects.toThrow("init: expected a task with labels for labels, got none.");
  });
});

describe("on tiny backbones", () => {
  const native = nodeEngine({ threads: 1 });
  let backbone: Backbone;
  beforeAll(async () => {
    backbone = await tinyBackbone(native);
  });
  afterAll(() => native.close());

  const settings = { promptLength: 3, gate: true } as const;
  const still = { hiddenDropout: 0, attentionDropout: 0 } as const;
  const run = async (options: DeepPromptOptions, change: Partial<TrainOptions> = {}) => {
    const events = await eventsOf(
      tinyOptions(backbone, { method: deepPrompt(options), epochs: 1, ...change }),
    );
    return {
      start: ofType(events, "start")[0]!,
      losses: ofType(events, "step").map(({ loss }) => loss),
      adapter: ofType(events, "done")[0]!.adapter,
    };
  };

  test.each([...textFamilies, ...wordFamilies])("$type starts from activations", async (family) => {
    const { type, settings: taskSettings, make } = family;
    const train = make(40, 1);
    const given = train.flatMap((example) => {
      const { label = [], labels = label } = example as { label?: string; labels?: string[] };
      return labels;
    });
    const labels = [...new Set(given)].sort();
    const data: Dataset<object> = { train, dev: [], test: [], labels, fingerprint: "x", warnings: [] };
    const kind = familyOf(type);
    const task = kind.create(kind.resolve(taskSettings, data));
    const change = { task, data: data as TrainOptions["data"], maxLength: 24 };
    const { losses, adapter } = await run({ promptLength: 3, init: "activations" }, change);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(Object.keys(adapter.params)).toContain(promptEmbeddings);
    if ("labels" in task.options) await run({ promptLength: 3, init: "labels" }, change);
    else await expect(run({ promptLength: 3, init: "labels" }, change)).rejects.toThrow(/with labels/);
  });

  test("RoBERTa and int8 layers start from activations, the same with each seed", async () => {
    const roberta = await tinyRoberta(native);
    const own = await run({ promptLength: 3, init: "activations" }, { backbone: roberta });
    const again = await run({ promptLength: 3, init: "activations" }, { backbone: roberta });
    expect(own.losses).toEqual(again.losses);
    const rounded = await run({ promptLength: 3, init: "activations" }, { precision: "int8" });
    expect(rounded.losses.every(Number.isFinite)).toBe(true);
  });

  test("a gate is counted, starts nearly closed, and opens", async () => {
    const { start, adapter } = await run(settings, { epochs: 3 });
    const size = 3 * 2 * 2 * 32;
    expect(start.inventory.trainable).toEqual({ prompt: size + 2 * 4, head: 3 * 32 + 3 });
    expect(adapter.params["prompt.gate"]!.shape).toEqual([2, 4]);
    const opened = Array.from(adapter.params["prompt.gate"]!.data);
    expect(Math.max(...opened)).toBeGreaterThan(-9);
    // It starts with what the backbone computes where there is as good as no prompt.
    const startOf = async (options: DeepPromptOptions) => (await run(options, still)).losses[0]!;
    const [gated, without, open] = [
      await startOf({ ...settings, initScale: 0.5 }),
      await startOf({ ...settings, initScale: 0 }),
      await startOf({ promptLength: 3, initScale: 0.5 }),
    ];
    expect(Math.abs(gated - without)).toBeLessThan(1e-2 * Math.abs(open - without));
  });

  test("a gate learns the same with lean memory, on a cached trunk, and with fewer rows computed", async () => {
    const top = { ...settings, promptLayers: { last: 1 } } as const;
    const plain = await run(top, still);
    for (const change of [{ memory: "lean" }, { trunkCache: "memory" }, { microBatchSize: 3 }] as const) {
      const other = await run(top, { ...still, ...change });
      expect(relativeError(other.losses, plain.losses), JSON.stringify(change)).toBeLessThan(1e-5);
    }
    const task = sequenceClassification({ labels: tinyData.labels, pooling: "cls" });
    const { losses } = await run(settings, { epochs: 3, task: task as TrainOptions["task"] });
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  test("a gate on int8 layers learns", async () => {
    const int8 = await withPrecision(backbone, "int8");
    expect(int8.precision).toBe("int8");
    const { losses, start } = await run(
      { ...settings, promptDropout: 0.1 },
      { precision: "int8", epochs: 3 },
    );
    expect(start.settings.precision).toBe("int8");
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });

  test("an MLP is folded beside the gate", async () => {
    const mlp = { reparameterization: "mlp", prefixHiddenSize: 8 } as const;
    const { adapter } = await run({ ...settings, ...mlp });
    expect(Object.keys(adapter.params as Params).sort()).toEqual([
      "head.bias",
      "head.weight",
      "prompt.embeddings",
      "prompt.gate",
    ]);
    expect(adapter.method.options).toMatchObject({ gate: true, reparameterization: "none" });
  });
});

test.each([
  [{ init: "words" as "labels" }, /init: expected one of normal, activations, labels, got "words"/],
  [
    { init: "activations", reparameterization: "mlp" } as const,
    /init: expected normal with reparameterization mlp, got "activations"/,
  ],
])("refuses %j", (options, message) => {
  expect(() => deepPrompt(options)).toThrow(message);
});
