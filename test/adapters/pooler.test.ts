/** Adapters on RoBERTa, whose checkpoints have no pooler: a random one is drawn, and belongs to the adapter. */
import { copyFile, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Adapter, attach, loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, weightNamer } from "ptuning/internal/backbones";
import { readSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import { checkMaxLength, longestInput } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification, type TextPrediction } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  eventsOf,
  type KeptEvent,
  ofType,
  tinyBackbone,
  tinyData,
  tinyOptions,
  tinyRoberta,
} from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyRoberta();
  folder = await mkdtemp(join(tmpdir(), "ptuning-pooler-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const withPooler = (change: Partial<TrainOptions> = {}): Partial<TrainOptions> => ({
  task: sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as TrainOptions["task"],
  method: deepPrompt({ preset: "peft", promptLength: 3 }),
  epochs: 1,
  ...change,
});

async function trained(change: Partial<TrainOptions>): Promise<{ events: KeptEvent[]; adapter: Adapter }> {
  const events = await eventsOf(tinyOptions(backbone, change));
  return { events, adapter: ofType(events, "done")[0]!.adapter };
}

async function probabilities(adapter: Adapter): Promise<number[][]> {
  const predictor = await createPredictor<unknown, TextPrediction>(adapter, backbone, { precision: "fp32" });
  const predictions = await predictor.predict(tinyData.dev);
  await predictor.close();
  return predictions.map((prediction) => Object.values(prediction.probabilities));
}

describe("a pooler that the checkpoint lacks", () => {
  test("is drawn from the seed, not trained, told of, and saved", async () => {
    const { events, adapter } = await trained(withPooler());
    const warning = ofType(events, "warning").find(({ code }) => code === "frozen");
    expect(warning?.message).toMatch(/pooler\.dense\.weight/);
    expect(ofType(events, "start")[0]!.inventory.trainable).toEqual({ prompt: 3 * 2 * 2 * 32, head: 99 });
    const weight = adapter.frozen["pooler.dense.weight"]!;
    expect(weight.shape).toEqual([32, 32]);
    const deviation = Math.sqrt(Array.from(weight.data).reduce((sum, x) => sum + x * x, 0) / 1024);
    expect(Math.abs(deviation - backbone.config.initializerRange)).toBeLessThan(0.002);
    expect(adapter.frozen["pooler.dense.bias"]!.data).toEqual(new Float32Array(32));
    const path = join(folder, "saved");
    await adapter.save(path);
    const loaded = await loadAdapter(path);
    expect(loaded.params).toEqual(adapter.params);
    expect(loaded.frozen).toEqual(adapter.frozen);
    expect(await probabilities(loaded)).toEqual(await probabilities(adapter));

    const again = await trained(withPooler());
    expect(again.adapter.frozen).toEqual(adapter.frozen);
    expect(again.adapter.params).toEqual(adapter.params);
    const other = await trained(withPooler({ seed: 6 }));
    expect(other.adapter.frozen).not.toEqual(adapter.frozen);
  });

  test("is not drawn where it is not read, or where the checkpoint has one", async () => {
    const { events, adapter } = await trained({ epochs: 1 });
    expect(adapter.frozen).toEqual({});
    expect(ofType(events, "warning").filter(({ code }) => code === "frozen")).toEqual([]);
    const bert = await tinyBackbone();
    const done = ofType(await eventsOf(tinyOptions(bert, withPooler())), "done")[0]!;
    expect(done.adapter.frozen).toEqual({});
    await bert.close();
  });

  test("must be there and fit", async () => {
    const { adapter } = await trained(withPooler());
    const without = Object.assign(Object.create(Object.getPrototypeOf(adapter)), adapter, { frozen: {} });
    expect(() => attach(without, backbone)).toThrow(
      /tensor "pooler\.dense\.weight": expected \[32,32\], got none/,
    );
  });
});

describe("for PEFT", () => {
  test("the pooler is the first layer of its classifier", async () => {
    const { adapter } = await trained(withPooler());
    const path = join(folder, "peft");
    await adapter.save(path);
    const config = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({ peft_type: "PREFIX_TUNING", task_type: "SEQ_CLS" });
    const { tensors } = await readSafetensors(join(path, "adapter_model.safetensors"));
    expect(Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]))).toEqual({
      prompt_embeddings: [3, 2 * 2 * 32],
      "base_model.classifier.dense.weight": [32, 32],
      "base_model.classifier.dense.bias": [32],
      "base_model.classifier.out_proj.weight": [3, 32],
      "base_model.classifier.out_proj.bias": [3],
    });
    // Without our own file it is an adapter that PEFT might have saved.
    const theirs = join(folder, "theirs");
    await mkdir(theirs);
    for (const file of ["adapter_config.json", "adapter_model.safetensors"]) {
      await copyFile(join(path, file), join(theirs, file));
    }
    const loaded = await loadAdapter(theirs, { labels: tinyData.labels });
    expect(loaded.params).toEqual(adapter.params);
    expect(loaded.frozen).toEqual(adapter.frozen);
    // ELECTRA's classifier has the same tensors: the first of those that have them stands for all.
    expect(loaded.backbone.modelType).toBe("roberta");
  });

  test("an adapter whose pooler lies in the checkpoint is refused", async () => {
    const { adapter } = await trained(withPooler());
    const path = join(folder, "not-peft");
    const bare = Object.assign(Object.create(Object.getPrototypeOf(adapter)), adapter, { frozen: {} });
    await bare.save(path);
    const config = JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8"));
    expect(config.not_for_peft).toMatch(/base_model\.classifier\.dense/);
  });
});

test("the padding index takes positions of its own", async () => {
  const task = sequenceClassification({ labels: ["a", "b"] });
  const parts = { backbone, method: deepPrompt({ promptLength: 3 }), head: task.head };
  // 50 rows, of which the padding index and those before it are not for texts, and 3 stand for the prompt.
  expect(backbone.config.maxPositions).toBe(50);
  expect(longestInput(parts)).toBe(45);
  expect(() => checkMaxLength(parts, 45)).not.toThrow();
  expect(() => checkMaxLength(parts, 46)).toThrow(/46 tokens behind position offset 3 need 49 positions/);
});

test("checkpoints with and without the name prefix, gamma and beta, are the same", async () => {
  const ownName = weightNamer(backbone.architecture, backbone.config);
  for (const [name, ours] of [
    ["roberta.encoder.layer.0.output.LayerNorm.gamma", "encoder.layer.0.output.LayerNorm.weight"],
    ["embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"],
    ["roberta.pooler.dense.weight", "pooler.dense.weight"],
    ["lm_head.dense.weight", "lm_head.dense.weight"],
    ["lm_head.decoder.weight", undefined],
    ["classifier.out_proj.weight", undefined],
    ["roberta.embeddings.position_ids", undefined],
  ] as const) {
    expect(ownName(name)).toBe(ours);
  }
});

test("int8 layers give nearly the same answers", async () => {
  const { adapter } = await trained(withPooler({ epochs: 2 }));
  const exact = await probabilities(adapter);
  const predictor = await createPredictor<unknown, TextPrediction>(adapter, backbone, { precision: "int8" });
  const rounded = await predictor.predict(tinyData.dev);
  await predictor.close();
  for (const [i, { probabilities }] of rounded.entries()) {
    for (const [c, p] of Object.values(probabilities).entries()) {
      expect(Math.abs(p - exact[i]![c]!)).toBeLessThan(0.1);
    }
  }
});
