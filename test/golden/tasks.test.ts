/**
 * Golden states of the task families on the tiny BERT (tools/reference/make_tasks.py, PyTorch in float64 with
 * PyTorch's own losses, summed): logits, loss, every gradient, ten AdamW losses. Passes of fewer examples add up to the same.
 */

import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { floats, type Params, type Tensor, type TensorMap } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import {
  batchFeeds,
  gradientOutput,
  inferenceGraph,
  lossScaleInput,
  trainingGraph,
} from "ptuning/internal/model";
import { adamW, applyUpdates, schedule } from "ptuning/internal/optim";
import { itemRows, padBatch, SequenceCollector, type Tokenizer } from "ptuning/internal/text";
import { taskFrom } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath, readGolden, relativeError } from "../support/golden.ts";

const manifest = readGolden<{
  promptLength: number;
  tokens: number[][];
  types: number[][];
  cases: {
    key: string;
    type: string;
    options: Record<string, unknown>;
    examples: object[];
    loss: number;
    losses: number[];
  }[];
}>("tasks/golden.json");
const { tensors } = await readSafetensors(goldenPath("tasks/golden.safetensors"));

function named(prefix: string): Record<string, Tensor> {
  const entries = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Gives the golden tokens, whatever the texts are. */
const tokenizer: Pick<Tokenizer, "encode"> = {
  async encode() {
    const collected = new SequenceCollector();
    for (const [i, ids] of manifest.tokens.entries()) collected.add(ids, manifest.types[i]!, false);
    return collected.finish();
  },
};

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

describe.each(manifest.cases)("$type, $options.pooling", ({ key, type, options, examples, loss, losses }) => {
  const setUp = async (engine: Engine) => {
    const backbone = await loadBackbone(goldenPath("bert"), { engine });
    const task = taskFrom(type, options);
    const method = deepPrompt({ promptLength: manifest.promptLength, positionOffset: true });
    const parts = { backbone, method, head: task.head };
    const params = named(`${key}.param.`) as Params;
    const encoded = await task.encode(examples, tokenizer as Tokenizer, 16);
    const every = Int32Array.from({ length: encoded.count }, (_, item) => item);
    const weight = task.weight(encoded, itemRows(encoded, every));
    const passOf = (items: Int32Array): TensorMap => {
      const rows = itemRows(encoded, items);
      const batch = padBatch(encoded.sequences, rows, 0);
      const targets = task.targets(encoded, { rows, length: batch.length });
      return { ...batchFeeds(batch), ...targets, [lossScaleInput]: floats([], [1]) };
    };
    const step = await engine.compile(trainingGraph(parts, task, params, { hidden: 0, attention: 0 }).graph);
    const forward = await engine.compile(inferenceGraph(parts, params));
    return { task, encoded, weight, every, params, step, forward, passOf };
  };

  test("float64: logits, loss, gradients and ten losses to 1e-9", async () => {
    const { task, encoded, weight, every, params, step, forward, passOf } = await setUp(reference);
    const pass = passOf(every);
    const feeds = Object.fromEntries(
      ["input_ids", "token_type_ids", "attention_mask"].map((n) => [n, pass[n]!]),
    );
    const { logits } = await forward.run({ ...feeds, ...params });
    expect(relativeError(logits!.data, tensors[`${key}.logits`]!.data)).toBeLessThan(1e-9);
    const first = await step.run({ ...pass, ...params });
    expect(Number(first.loss!.data[0])).toBeCloseTo(loss, 9);
    for (const [name, expected] of Object.entries(named(`${key}.grad.`))) {
      expect(relativeError(first[gradientOutput(name)]!.data, expected.data)).toBeLessThan(1e-9);
    }

    // The host computes the same loss from the same logits, also where a pass tears examples apart.
    const evaluator = task.evaluator(encoded);
    const outputs = Array.from(logits!.data as Float64Array);
    const width = outputs.length / manifest.tokens.length;
    for (const rows of [Int32Array.of(5, 0, 3), Int32Array.of(1, 2, 6, 4)]) {
      const own = Array.from(rows, (row) => outputs.slice(row * width, (row + 1) * width)).flat();
      evaluator.add({ rows, length: 7, logits: own });
    }
    expect(evaluator.result().loss).toBeCloseTo(loss / weight, 9);

    const rate = schedule("linear", { peak: 1e-2, totalSteps: 10, warmupSteps: 0, stepsPerEpoch: 10 });
    const optimizer = adamW({ schedule: rate, weightDecay: 0.01 });
    const trained = structuredClone(params);
    const state = optimizer.init(trained);
    for (const [i, expected] of losses.entries()) {
      const results = await step.run({ ...pass, ...trained });
      expect(Math.abs(Number(results.loss!.data[0]) - expected)).toBeLessThan(1e-9);
      const grads = Object.fromEntries(
        Object.keys(trained).map((name) => [name, results[gradientOutput(name)]!]),
      ) as Params;
      optimizer.update(grads, state, trained, i);
      applyUpdates(trained, grads);
    }
  });

  test("ONNX Runtime: gradients to 1e-4, in one pass or several", async () => {
    const { every, params, step, passOf } = await setUp(native);
    const single = Object.fromEntries(
      Object.entries(params).map(([name, { shape, data }]) => [name, floats(shape, data as Float64Array)]),
    );
    const whole = await step.run({ ...passOf(every), ...single });
    const half = [every.subarray(0, 1), every.subarray(1)].map((items) =>
      step.run({ ...passOf(items), ...single }),
    );
    const [a, b] = await Promise.all(half);
    for (const [name, expected] of Object.entries(named(`${key}.grad.`))) {
      const gradient = (of: TensorMap): number[] =>
        Array.from(of[gradientOutput(name)]!.data as Float32Array);
      // The bias of a choice has no gradient: nothing to divide by.
      const wanted = Array.from(expected.data as Float64Array);
      const scale = Math.max(0.01, ...wanted.map(Math.abs));
      const sum = gradient(a!).map((value, i) => value + gradient(b!)[i]!);
      for (const [i, value] of wanted.entries()) {
        expect(Math.abs(gradient(whole)[i]! - value) / scale).toBeLessThan(1e-4);
        expect(Math.abs(sum[i]! - value) / scale).toBeLessThan(1e-4);
      }
    }
    await step.release();
  });
});
