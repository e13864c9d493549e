/**
 * Golden states of every method on the tiny random BERT (tools/reference/make_methods.py, PyTorch in float64, checked
 * there against PEFT where it computes the same): logits, loss, every gradient, ten AdamW losses.
 */

import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { floats, int32s, type Params, Rng, type Tensor, type TensorMap } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import type { Pooling } from "ptuning/internal/heads";
import { methodFrom } from "ptuning/internal/methods";
import {
  gradientOutput,
  inferenceGraph,
  initializeParams,
  lossScaleInput,
  paramShapes,
  rateFactors,
  trainingGraph,
} from "ptuning/internal/model";
import { adamW, applyUpdates, schedule } from "ptuning/internal/optim";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath, perTensorError, readGolden, relativeError } from "../support/golden.ts";

interface Case {
  readonly key: string;
  readonly name: string;
  readonly method: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  readonly pooling: Pooling;
  readonly loss: number;
  readonly losses: number[];
  readonly headFactor: number;
}

const { cases } = readGolden<{ cases: Case[] }>("methods/golden.json");
const inputs =
  readGolden<Record<"inputIds" | "tokenTypeIds" | "attentionMask", number[][]>>("bert/golden.json");
const { labels } = readGolden<{ labels: number[] }>("bert/golden.json");
const { tensors } = await readSafetensors(goldenPath("methods/golden.safetensors"));

function named(prefix: string): Record<string, Tensor> {
  const entries = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

const length = inputs.inputIds[0]!.length;
/** [B, S] → [S, B] */
const transposed = (rows: number[][]): Tensor =>
  int32s(
    [length, rows.length],
    rows[0]!.flatMap((_, s) => rows.map((row) => row[s]!)),
  );
const batchFeeds: TensorMap = {
  input_ids: transposed(inputs.inputIds),
  token_type_ids: transposed(inputs.tokenTypeIds),
  attention_mask: transposed(inputs.attentionMask),
};

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

function widened(params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape, data }]) => [
      name,
      { dtype: "float64", shape, data: Float64Array.from(data) },
    ]),
  );
}

const largest = ({ data }: Tensor): number =>
  (data as Float64Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const sorted = (record: object): string[] => Object.keys(record).sort();

describe.each(cases)("$name", (golden) => {
  const setUp = async (engine: Engine) => {
    const backbone: Backbone = await loadBackbone(goldenPath("bert"), { engine });
    const task = sequenceClassification({ labels: ["a", "b", "c"], pooling: golden.pooling });
    const parts = {
      backbone,
      method: methodFrom(golden.method.name, golden.method.options),
      head: task.head,
    };
    const start = await initializeParams(parts, new Rng(1));
    // What comes from the checkpoint is not in the golden file.
    const params: Params = { ...start, ...(named(`${golden.key}.param.`) as Params) };
    const encoded = {
      count: 4,
      sequences: undefined as never,
      labels: Int32Array.from(labels),
      examples: [],
    };
    const rows = Int32Array.of(0, 1, 2, 3);
    const feeds = task.targets(encoded, { rows, length });
    const stepFeeds = { ...batchFeeds, ...feeds, [lossScaleInput]: floats([], [1 / labels.length]) };
    const step = await engine.compile(trainingGraph(parts, task, params, { hidden: 0, attention: 0 }).graph);
    const forward = await engine.compile(inferenceGraph(parts, params));
    return { parts, params, step, forward, stepFeeds };
  };

  test("float64: trainable tensors, logits, loss, gradients and ten losses to 1e-9", async () => {
    const { parts, params, step, forward, stepFeeds } = await setUp(reference);
    const expected = named(`${golden.key}.grad.`);
    expect(sorted(params)).toEqual(sorted(expected));
    expect(sorted(paramShapes(parts))).toEqual(sorted(expected));
    const trained = widened(params);
    const { logits } = await forward.run({ ...batchFeeds, ...trained });
    expect(relativeError(logits!.data, tensors[`${golden.key}.logits`]!.data)).toBeLessThan(1e-9);
    const first = await step.run({ ...stepFeeds, ...trained });
    expect(Number(first.loss!.data[0])).toBeCloseTo(golden.loss, 9);
    for (const [name, { data }] of Object.entries(expected)) {
      expect(relativeError(first[gradientOutput(name)]!.data, data), name).toBeLessThan(1e-9);
    }

    const rate = schedule("linear", { peak: 1e-2, totalSteps: 10, warmupSteps: 0, stepsPerEpoch: 10 });
    const factors = rateFactors(parts, golden.headFactor);
    const decayed = parts.method.decays;
    const optimizer = adamW({ schedule: rate, weightDecay: 0.01, decayed, rateFactors: factors });
    const state = optimizer.init(trained);
    for (const [i, loss] of golden.losses.entries()) {
      const outputs = await step.run({ ...stepFeeds, ...trained });
      expect(Math.abs(Number(outputs.loss!.data[0]) - loss)).toBeLessThan(1e-9);
      const grads = Object.fromEntries(
        Object.keys(trained).map((name) => [name, outputs[gradientOutput(name)]!]),
      ) as Params;
      optimizer.update(grads, state, trained, i);
      applyUpdates(trained, grads);
    }
  });

  test("ONNX Runtime: logits to 1e-5, gradients to 1e-4", async () => {
    const { params, step, forward, stepFeeds } = await setUp(native);
    const single = Object.fromEntries(
      Object.entries(params).map(([name, { shape, data }]) => [name, floats(shape, data)]),
    );
    const { logits } = await forward.run({ ...batchFeeds, ...single });
    expect(perTensorError(logits!, tensors[`${golden.key}.logits`]!)).toBeLessThanOrEqual(1e-5);
    const outputs = await step.run({ ...stepFeeds, ...single });
    const gradients = named(`${golden.key}.grad.`);
    // Gradients of attention queries and keys nearly cancel: they are measured at a share of the greatest gradient.
    const least = 1e-2 * Math.max(...Object.values(gradients).map(largest));
    for (const [name, expected] of Object.entries(gradients)) {
      const error = perTensorError(outputs[gradientOutput(name)]!, expected, least);
      expect(error, name).toBeLessThanOrEqual(1e-4);
    }
    await Promise.all([step.release(), forward.release()]);
  });
});
