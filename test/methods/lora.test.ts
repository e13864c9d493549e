/** LoRA: what it adds to which layers, how it starts, and what it leaves when it is merged. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Adapter, loadAdapter, mergeAdapter } from "ptuning/internal/adapters";
import { type Backbone, withPrecision } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import {
  bitfit,
  deepPrompt,
  type LoraOptions,
  linearProbe,
  lora,
  methodFrom,
} from "ptuning/internal/methods";
import {
  batchFeeds,
  inferenceGraph,
  initializeParams,
  paramShapes,
  trainingGraph,
  trunkLayers,
} from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import { padBatch } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { relativeError } from "../support/golden.ts";
import {
  eventsOf,
  ofType,
  tinyBackbone,
  tinyCsv,
  tinyData,
  tinyFolder,
  tinyOptions,
} from "../support/tiny.ts";

const [E, I, layers] = [32, 64, 2];
let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

const task = sequenceClassification({ labels: tinyData.labels });
const partsOf = (options: LoraOptions = {}, on = backbone) => ({
  backbone: on,
  method: lora(options),
  head: task.head,
});

/** Trained tensors of the method's own, with their shapes. */
const shapesOf = (options: LoraOptions): Record<string, readonly number[]> =>
  Object.fromEntries(
    Object.entries(paramShapes(partsOf(options)))
      .filter(([name]) => name.startsWith("lora."))
      .map(([name, { shape }]) => [name, shape]),
  );

describe("the layers", () => {
  const adapted = (options: LoraOptions): string[] => [
    ...new Set(Object.keys(shapesOf(options)).map((name) => /^lora\.bert\.(.*)\.[AB]$/.exec(name)![1]!)),
  ];
  const each = (...kinds: string[]): string[] =>
    [0, 1].flatMap((layer) => kinds.map((kind) => `encoder.layer.${layer}.${kind}`));

  test("are queries and values by default, with a pair of matrices each", () => {
    expect(adapted({})).toEqual(each("attention.self.query", "attention.self.value"));
    const shapes = shapesOf({ rank: 3 });
    expect(shapes["lora.bert.encoder.layer.1.attention.self.query.A"]).toEqual([3, E]);
    expect(shapes["lora.bert.encoder.layer.1.attention.self.query.B"]).toEqual([E, 3]);
  });

  test("are all, or named by the ends of their names, here or in transformers", () => {
    expect(adapted({ targets: "all" })).toHaveLength(6 * layers);
    expect(shapesOf({ targets: "all", rank: 2 })["lora.bert.encoder.layer.0.intermediate.dense.B"]).toEqual([
      I,
      2,
    ]);
    expect(adapted({ targets: ["output.dense"] })).toEqual(each("attention.output.dense", "output.dense"));
    expect(adapted({ targets: ["attention.output.dense"] })).toEqual(each("attention.output.dense"));
    expect(adapted({ targets: ["bert.encoder.layer.1.output.dense"] })).toEqual([
      "encoder.layer.1.output.dense",
    ]);
    expect(adapted({ targets: ["pooler.dense", "key"] })).toEqual([
      ...each("attention.self.key"),
      "pooler.dense",
    ]);
    expect(adapted({ targets: ["dense"] })).not.toContain("pooler.dense");
    expect(methodFrom("lora", { targets: "key" }).options.targets).toEqual(["key"]);
  });

  test("are those of some encoder layers", () => {
    expect(adapted({ layers: { last: 1 } })).toEqual(
      each("attention.self.query", "attention.self.value").slice(2),
    );
    const trunk = (options: LoraOptions): number =>
      trunkLayers(partsOf(options), paramShapes(partsOf(options)));
    expect(trunk({ layers: { last: 1 } })).toBe(1);
    expect(trunk({})).toBe(0);
  });

  test.each([
    [{ targets: ["querry"] }, /targets: expected all, or ends .*query.*, got "querry"/],
    [{ targets: [] }, /targets: expected all or names of linear layers, got/],
    [{ rank: 0 }, /rank: expected a whole number from 1 to 4096, got 0/],
    [{ alpha: 0 }, /alpha: expected a number above 0, got 0/],
    [{ dropout: 1 }, /dropout: expected a number from 0 to below 1, got 1/],
    [{ layers: [2] }, /layers: expected layers from 0 to 1, got \[2\] for a backbone of 2 layers/],
  ] as [LoraOptions, RegExp][])("%j is refused", (options, message) => {
    expect(() => shapesOf(options)).toThrow(message);
  });

  test("prompts beside them are refused", () => {
    expect(() => methodFrom("lora", { promptLength: 5 })).toThrow(
      /method: expected known keys, got "promptLength"/,
    );
    expect(() => methodFrom("p-tuning-v2", { rank: 5 })).toThrow(/method: expected known keys, got "rank"/);
  });
});

test("A starts as torch starts a linear layer, B at 0", async () => {
  const params = await initializeParams(partsOf({ rank: 64 }), new Rng(3));
  for (const [name, { data }] of Object.entries(params)) {
    const numbers = Array.from(data, Number);
    if (name.endsWith(".B")) expect(numbers.every((number) => number === 0)).toBe(true);
    if (!name.endsWith(".A")) continue;
    const bound = 1 / Math.sqrt(E);
    expect(Math.max(...numbers.map(Math.abs))).toBeLessThanOrEqual(bound);
    const variance = numbers.reduce((sum, number) => sum + number ** 2, 0) / numbers.length;
    expect(variance).toBeCloseTo(bound ** 2 / 3, 3);
  }
});

/** Random pairs, so that what is added counts. */
async function moved(options: LoraOptions) {
  const params = await initializeParams(partsOf(options), new Rng(3));
  const rng = new Rng(4);
  for (const [name, { data }] of Object.entries(params))
    if (name.endsWith(".B")) for (const i of data.keys()) data[i] = 0.3 * rng.normal();
  return params;
}

const adapterOf = async (options: LoraOptions): Promise<Adapter> =>
  new Adapter({
    task: task as TrainOptions["task"],
    method: lora(options),
    params: await moved(options),
    backbone: {
      ...{ id: "tiny", fingerprint: backbone.fingerprint, modelType: "bert" },
      ...{ hiddenSize: E, numLayers: layers, numHeads: backbone.config.numHeads },
    },
    maxLength: 16,
    provenance: { createdAt: "", versions: {} },
  });

/** Logits of each text alone, or of all together. */
async function logitsOf(
  precision: "fp32" | "int8" | "int4",
  adapter: Pick<Adapter, "method" | "params">,
  batches: readonly (readonly string[])[],
): Promise<number[][]> {
  const parts = {
    backbone: await withPrecision(backbone, precision),
    method: adapter.method,
    head: task.head,
  };
  await using session = await backbone.engine.compile(inferenceGraph(parts, adapter.params));
  const found: number[][] = [];
  for (const texts of batches) {
    const sequences = await backbone.tokenizer.encode(texts, 16);
    const feeds = batchFeeds(padBatch(sequences, [...texts.keys()], backbone.config.padTokenId));
    const { logits } = await session.run({ ...feeds, ...adapter.params });
    for (const i of texts.keys()) found.push(Array.from(logits!.data.slice(3 * i, 3 * i + 3), Number));
  }
  return found;
}

describe.each(["fp32", "int8", "int4"] as const)("%s", (precision) => {
  const texts = ["w1 w2 w3", "w4 w5 w6", "w7 w8 w9"];

  test("a new pair leaves the backbone as it is, a trained one does not", async () => {
    const fresh = {
      method: lora({ targets: "all" }),
      params: await initializeParams(partsOf({ targets: "all" }), new Rng(3)),
    };
    const head = Object.fromEntries(
      Object.entries(fresh.params).filter(([name]) => name.startsWith("head.")),
    );
    const bare = await logitsOf(precision, { method: linearProbe(), params: head }, [texts]);
    expect(relativeError((await logitsOf(precision, fresh, [texts])).flat(), bare.flat())).toBeLessThan(1e-6);
    const trained = await logitsOf(precision, await adapterOf({ targets: "all" }), [texts]);
    expect(relativeError(trained.flat(), bare.flat())).toBeGreaterThan(0.1);
  });

  test("logits of a text do not depend on the texts beside it, to the bit", async () => {
    const adapter = await adapterOf({ targets: "all", rank: 5 });
    expect(await logitsOf(precision, adapter, [texts])).toEqual(
      await logitsOf(
        precision,
        adapter,
        texts.map((text) => [text]),
      ),
    );
  });

  test("it learns, the same with lean memory", async () => {
    const losses = async (change: Partial<TrainOptions>): Promise<number[]> => {
      const still = { hiddenDropout: 0, attentionDropout: 0, precision, epochs: 4 } as const;
      const method = lora({ targets: "all", dropout: 0 });
      const events = await eventsOf(
        tinyOptions(backbone, { method, learningRate: 0.02, ...still, ...change }),
      );
      return ofType(events, "step").map(({ loss }) => loss);
    };
    const fast = await losses({});
    expect(fast.at(-1)).toBeLessThan(fast[0]! / 2);
    expect(relativeError(await losses({ memory: "lean" }), fast)).toBeLessThan(1e-3);
  });
});

test("dropout is drawn for each adapted layer by itself, in training alone", () => {
  const sites = (options: LoraOptions): number => {
    const parts = partsOf(options);
    const anyTask = task as TrainOptions["task"];
    return trainingGraph(parts, anyTask, paramShapes(parts), { hidden: 0, attention: 0 }).dropout.sites
      .length;
  };
  expect(sites({})).toBe(0);
  expect(sites({ dropout: 0.2 })).toBe(2 * layers);
  expect(sites({ dropout: 0.2, targets: "all" })).toBe(6 * layers);
});

test.each(["memory", "file"] as const)(
  "a cached trunk (%s) beneath the lowest adapted layer gives the same run",
  async (trunkCache) => {
    const run = async (change: Partial<TrainOptions>): Promise<number[]> => {
      const still = { hiddenDropout: 0, attentionDropout: 0, epochs: 2 } as const;
      const method = lora({ layers: { last: 1 } });
      const events = await eventsOf(tinyOptions(backbone, { method, ...still, ...change }));
      expect(ofType(events, "trunk").map(({ layers: beneath }) => beneath)).toEqual(
        change.trunkCache ? [1] : [],
      );
      return ofType(events, "step").map(({ loss }) => loss);
    };
    expect(relativeError(await run({ trunkCache }), await run({}))).toBeLessThan(1e-5);
  },
);

describe("merged", () => {
  const predictions = async (adapter: Adapter): Promise<number[]> => {
    await using predictor = await createPredictor<
      { text: string },
      { probabilities: Record<string, number> }
    >(adapter, backbone, { precision: "fp32" });
    const answers = await predictor.predict(tinyData.dev as never);
    return answers.flatMap(({ probabilities }) => Object.values(probabilities));
  };

  test.each([
    {},
    { targets: "all", rank: 3, alpha: 7 },
    { targets: ["value"], layers: { first: 1 } },
  ] as LoraOptions[])("%j is a backbone that computes the same alone", async (options) => {
    const adapter = await adapterOf(options);
    const merged = await mergeAdapter(adapter, backbone);
    expect(merged.method.name).toBe("fine-tuning");
    const [ours, alone] = [await predictions(adapter), await predictions(merged)];
    for (const [i, probability] of ours.entries()) expect(alone[i]).toBeCloseTo(probability, 5);
    const untouched = await predictions(
      new Adapter({ ...adapter, params: await initializeParams(partsOf(options), new Rng(3)) }),
    );
    expect(relativeError(untouched, ours)).toBeGreaterThan(0.01);
  });

  test("BitFit can be, prompts cannot", async () => {
    const [{ adapter }] = ofType(
      await eventsOf(tinyOptions(backbone, { method: bitfit(), epochs: 1 })),
      "done",
    ) as never as [{ adapter: Adapter }];
    const alone = await predictions(await mergeAdapter(adapter, backbone));
    for (const [i, probability] of (await predictions(adapter)).entries())
      expect(alone[i]).toBeCloseTo(probability, 6);
    const prompt = new Adapter({ ...adapter, method: deepPrompt() });
    await expect(mergeAdapter(prompt, backbone)).rejects.toThrow(
      /merge: expected an adapter of bitfit or lora, got one of p-tuning-v2/,
    );
    await expect(
      mergeAdapter(
        new Adapter({ ...adapter, backbone: { ...adapter.backbone, fingerprint: "sha256:other" } }),
        backbone,
      ),
    ).rejects.toMatchObject({ code: "ADAPTER_INCOMPATIBLE" });
  });

  test("on the command line: train, merge, and predict with the checkpoint alone", async () => {
    const folder = await mkdtemp(join(tmpdir(), "ptuning-merge-"));
    try {
      await writeFile(join(folder, "train.csv"), tinyCsv(60, 1));
      const quiet = ["--threads", "1", "--precision", "fp32", "--epochs", "2", "--max-length", "16"];
      // A head that reads the untouched backbone too cannot be merged.
      const method = [
        "--set",
        "training.blend=never",
        "--set",
        "method={name: lora, rank: 4, targets: all}",
        "--set",
        "report={html: false}",
      ];
      const trained = await ptuning(
        ["train", "train.csv", "--backbone", tinyFolder, ...quiet, ...method, "--output", "run"],
        { cwd: folder },
      );
      expect(trained.code, trained.stderr).toBe(0);
      const merge = await ptuning(["merge", "run", "--backbone", tinyFolder, "-o", "merged"], {
        cwd: folder,
      });
      expect(merge.code, merge.stderr).toBe(0);
      expect(merge.stdout).toMatch(/^Merged lora into .*: merged\n$/);
      const ask = async (...args: string[]): Promise<{ probabilities: Record<string, number> }> =>
        JSON.parse(
          (await ptuning(["predict", ...args, "w1 w12", "--precision", "fp32", "--json"], { cwd: folder }))
            .stdout,
        );
      const [ours, alone] = [await ask("run", "--backbone", tinyFolder), await ask("merged")];
      for (const [label, probability] of Object.entries(ours.probabilities))
        expect(alone.probabilities[label]).toBeCloseTo(probability, 4);
      const card = await readFile(join(folder, "merged", "README.md"), "utf8");
      expect(card).toContain("Trained with lora. This folder is a checkpoint of its own");
      expect((await loadAdapter(join(folder, "merged"))).method.name).toBe("fine-tuning");
      const again = await ptuning(["merge", "merged", "-o", "twice"], { cwd: folder });
      expect(again.code).toBe(1);
      expect(again.stderr).toMatch(/merge: expected an adapter of bitfit or lora, got one of fine-tuning/);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);
});
