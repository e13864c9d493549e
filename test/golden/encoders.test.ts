/**
 * Golden states of a tiny random checkpoint of each architecture (tools/reference/make_bert.py, make_roberta.py:
 * PyTorch in float64, checked there against transformers and PEFT): logits, loss, every gradient, ten AdamW losses.
 */

import { nodeEngine, referenceEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { floats, type Params, type Tensor } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import { gradientOutput, inferenceGraph, lossScaleInput, trainingGraph } from "ptuning/internal/model";
import { adamW, applyUpdates, schedule } from "ptuning/internal/optim";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import {
  goldenFeeds,
  goldenPath,
  perTensorError,
  readGolden,
  relativeError,
  single,
  withPrefix,
} from "../support/golden.ts";

interface Case {
  readonly key: string;
  readonly name: string;
  readonly layers: number[];
  readonly mlp: boolean;
  readonly pooling: "pooler" | "cls" | "mean";
  readonly positionOffset: boolean;
  readonly loss: number;
  readonly losses: number[];
}

interface Manifest {
  readonly promptLength: number;
  readonly prefixHiddenSize: number;
  readonly labels: number[];
  readonly inputIds: number[][];
  readonly tokenTypeIds: number[][];
  readonly attentionMask: number[][];
  readonly cases: Case[];
}

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

for (const architecture of ["bert", "roberta"]) {
  const manifest = readGolden<Manifest>(`${architecture}/golden.json`);
  const { tensors } = await readSafetensors(goldenPath(`${architecture}/golden.safetensors`));

  const named = (prefix: string): Record<string, Tensor> => withPrefix(tensors, prefix);

  const length = manifest.inputIds[0]!.length;
  const batchFeeds = goldenFeeds(manifest);

  describe.each(manifest.cases)(`${architecture}: $name`, (golden) => {
    const setUp = async (engine: typeof reference, precise: (tensors: Params) => Params) => {
      const backbone = await loadBackbone(goldenPath(architecture), { engine });
      const task = sequenceClassification({ labels: ["a", "b", "c"], pooling: golden.pooling });
      const method = deepPrompt({
        promptLength: manifest.promptLength,
        promptLayers: golden.layers,
        reparameterization: golden.mlp ? "mlp" : "none",
        prefixHiddenSize: manifest.prefixHiddenSize,
        positionOffset: golden.positionOffset,
      });
      const frozen = precise(named(`${golden.key}.frozen.`) as Params);
      const parts = { backbone, method, head: task.head, frozen };
      const params = precise(named(`${golden.key}.param.`) as Params);
      const labels = Int32Array.from(manifest.labels);
      const encoded = { count: 4, sequences: undefined as never, labels, examples: [] };
      const rows = Int32Array.of(0, 1, 2, 3);
      const feeds = task.targets(encoded, { rows, length });
      const scale = floats([], [1 / task.weight(encoded, rows)]);
      const stepFeeds = { ...batchFeeds, ...feeds, [lossScaleInput]: scale };
      const step = await engine.compile(
        trainingGraph(parts, task, params, { hidden: 0, attention: 0 }).graph,
      );
      const forward = await engine.compile(inferenceGraph(parts, params));
      return { params, step, forward, stepFeeds };
    };

    test("float64: logits, loss, gradients and ten losses to 1e-9", async () => {
      const { params, step, forward, stepFeeds } = await setUp(reference, (tensors) => tensors);
      const { logits } = await forward.run({ ...batchFeeds, ...params });
      expect(relativeError(logits!.data, tensors[`${golden.key}.logits`]!.data)).toBeLessThan(1e-9);
      const first = await step.run({ ...stepFeeds, ...params });
      expect(Number(first.loss!.data[0])).toBeCloseTo(golden.loss, 9);
      for (const [name, expected] of Object.entries(named(`${golden.key}.grad.`))) {
        expect(relativeError(first[gradientOutput(name)]!.data, expected.data)).toBeLessThan(1e-9);
      }

      const rate = schedule("linear", { peak: 1e-2, totalSteps: 10, warmupSteps: 0, stepsPerEpoch: 10 });
      const optimizer = adamW({ schedule: rate, weightDecay: 0.01 });
      const trained = structuredClone(params);
      const state = optimizer.init(trained);
      for (const [i, expected] of golden.losses.entries()) {
        const outputs = await step.run({ ...stepFeeds, ...trained });
        expect(Math.abs(Number(outputs.loss!.data[0]) - expected)).toBeLessThan(1e-9);
        const grads = Object.fromEntries(
          Object.keys(trained).map((name) => [name, outputs[gradientOutput(name)]!]),
        ) as Params;
        optimizer.update(grads, state, trained, i);
        applyUpdates(trained, grads);
      }
    });

    test("ONNX Runtime: logits to 1e-5, gradients to 1e-4", async () => {
      const { params, step, forward, stepFeeds } = await setUp(native, single);
      const { logits } = await forward.run({ ...batchFeeds, ...params });
      expect(perTensorError(logits!, tensors[`${golden.key}.logits`]!)).toBeLessThanOrEqual(1e-5);
      const outputs = await step.run({ ...stepFeeds, ...params });
      for (const [name, expected] of Object.entries(named(`${golden.key}.grad.`))) {
        expect(perTensorError(outputs[gradientOutput(name)]!, expected)).toBeLessThanOrEqual(1e-4);
      }
      await Promise.all([step.release(), forward.release()]);
    });
  });
}
