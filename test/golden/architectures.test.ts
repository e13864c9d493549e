/**
 * Golden states of a tiny random checkpoint of each architecture beside every kind of method
 * (tools/reference/make_architectures.py: transformers in float64, with prompts in its attention): logits, loss, every
 * gradient.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { loadBackbone, weightNamer } from "ptuning/internal/backbones";
import { floats, type Params, Rng, type Tensor } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import type { Pooling } from "ptuning/internal/heads";
import { methodFrom } from "ptuning/internal/methods";
import {
  gradientOutput,
  inferenceGraph,
  initializeParams,
  lossScaleInput,
  trainingGraph,
} from "ptuning/internal/model";
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
  readonly method: { readonly name: string; readonly options: Readonly<Record<string, unknown>> };
  readonly pooling: Pooling;
  readonly loss: number;
}

interface Manifest {
  readonly labels: number[];
  readonly inputIds: number[][];
  readonly tokenTypeIds: number[][];
  readonly attentionMask: number[][];
  readonly cases: Case[];
}

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

const folders = readdirSync(goldenPath("")).filter((name) => {
  const path = goldenPath(`${name}/golden.json`);
  return (
    existsSync(path) && "method" in JSON.parse(readFileSync(path, "utf8")).cases[0] && name !== "methods"
  );
});

const sorted = (record: object): string[] => Object.keys(record).sort();

describe.each(folders)("%s", async (architecture) => {
  const manifest = readGolden<Manifest>(`${architecture}/golden.json`);
  const { tensors } = await readSafetensors(goldenPath(`${architecture}/golden.safetensors`));
  const named = (prefix: string): Record<string, Tensor> => withPrefix(tensors, prefix);
  const length = manifest.inputIds[0]!.length;
  const batchFeeds = goldenFeeds(manifest);

  describe.each(manifest.cases)("$method.name $method.options, $pooling", (golden) => {
    const setUp = async (engine: Engine, asFloats: boolean) => {
      const backbone = await loadBackbone(goldenPath(architecture), { engine });
      const task = sequenceClassification({ labels: ["a", "b", "c"], pooling: golden.pooling });
      const method = methodFrom(golden.method.name, golden.method.options);
      const frozen = named(`${golden.key}.frozen.`) as Params;
      const parts = { backbone, method, head: task.head, frozen: asFloats ? single(frozen) : frozen };
      const start = await initializeParams(parts, new Rng(1));
      // What comes from the checkpoint is not in the golden file.
      const params: Params = { ...start, ...(named(`${golden.key}.param.`) as Params) };
      const { labels } = manifest;
      const encoded = {
        count: labels.length,
        sequences: undefined as never,
        labels: Int32Array.from(labels),
        examples: [],
      };
      const feeds = task.targets(encoded, { rows: Int32Array.from(labels.keys()), length });
      const ownName = weightNamer(backbone.architecture, backbone.config);
      const weights = Object.entries(named(`${golden.key}.weight.`)).map(([name, tensor]) => [
        `backbone.${ownName(name)}`,
        tensor,
      ]);
      const gradients = { ...named(`${golden.key}.grad.`), ...Object.fromEntries(weights) };
      return {
        params,
        gradients: gradients as Record<string, Tensor>,
        stepFeeds: { ...batchFeeds, ...feeds, [lossScaleInput]: floats([], [1 / labels.length]) },
        step: await engine.compile(trainingGraph(parts, task, params, { hidden: 0, attention: 0 }).graph),
        forward: await engine.compile(inferenceGraph(parts, params)),
      };
    };

    test("float64: trainable tensors, logits, loss and gradients to 1e-9", async () => {
      const { params, gradients, step, forward, stepFeeds } = await setUp(reference, false);
      expect(sorted(params)).toEqual(sorted(gradients));
      const wide = Object.fromEntries(
        Object.entries(params).map(([name, { shape, data }]) => [
          name,
          { dtype: "float64", shape, data: Float64Array.from(data) } as const,
        ]),
      );
      const { logits } = await forward.run({ ...batchFeeds, ...wide });
      expect(relativeError(logits!.data, tensors[`${golden.key}.logits`]!.data)).toBeLessThan(1e-9);
      const outputs = await step.run({ ...stepFeeds, ...wide });
      expect(Number(outputs.loss!.data[0])).toBeCloseTo(golden.loss, 9);
      for (const [name, { data }] of Object.entries(gradients)) {
        expect(relativeError(outputs[gradientOutput(name)]!.data, data), name).toBeLessThan(1e-9);
      }
    });

    test("ONNX Runtime: logits to 1e-5, gradients to 1e-4", async () => {
      const { params, gradients, step, forward, stepFeeds } = await setUp(native, true);
      const given = single(params);
      const { logits } = await forward.run({ ...batchFeeds, ...given });
      expect(perTensorError(logits!, tensors[`${golden.key}.logits`]!)).toBeLessThanOrEqual(1e-5);
      const outputs = await step.run({ ...stepFeeds, ...given });
      for (const [name, expected] of Object.entries(gradients)) {
        expect(perTensorError(outputs[gradientOutput(name)]!, expected, 1e-2), name).toBeLessThanOrEqual(
          1e-4,
        );
      }
      await Promise.all([step.release(), forward.release()]);
    });
  });
});
