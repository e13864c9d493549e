/**
 * Golden states of the heads on every token, on the tiny BERT and RoBERTa (tools/reference/make_spans.py, PyTorch in float64,
 * checked there against transformers and PEFT): logits, loss, every gradient, ten AdamW losses.
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
import { padBatch, SequenceCollector, type TokenSequences } from "ptuning/internal/text";
import {
  type EncodedAnswers,
  type EncodedWords,
  questionAnswering,
  type Task,
  tokenClassification,
} from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath, readGolden, relativeError } from "../support/golden.ts";

const manifest = readGolden<{
  promptLength: number;
  prefixHiddenSize: number;
  numTags: number;
  tags: number[][];
  starts: number[];
  ends: number[];
  inputIds: number[][];
  tokenTypeIds: number[][];
  attentionMask: number[][];
  cases: {
    key: string;
    name: string;
    architecture: "bert" | "roberta";
    head: "token" | "span";
    layers: number[];
    mlp: boolean;
    positionOffset: boolean;
    loss: number;
    losses: number[];
  }[];
}>("spans/golden.json");
const { tensors } = await readSafetensors(goldenPath("spans/golden.safetensors"));
const { inputIds, tokenTypeIds, attentionMask, tags, starts, ends } = manifest;
const count = inputIds.length;

function named(prefix: string): Record<string, Tensor> {
  const entries = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** @param isTyped whether the second part of each text has token type 1 */
function collected(isTyped: boolean): TokenSequences {
  const collector = new SequenceCollector();
  for (const [row, ids] of inputIds.entries()) {
    const length = attentionMask[row]!.reduce((sum, kept) => sum + kept, 0);
    const types = tokenTypeIds[row]!.slice(0, length);
    collector.add(ids.slice(0, length), isTyped ? types : types.fill(0), false);
  }
  return collector.finish();
}
const sequencesOf = { bert: collected(true), roberta: collected(false) };

/** One word per labelled token. */
const words = tags.flatMap((row, sequence) =>
  row.flatMap((label, position) => (label < 0 ? [] : [{ sequence, position, label }])),
);
const wordsBefore = (sequence: number): number => words.filter((word) => word.sequence < sequence).length;
const starting = Int32Array.from({ length: count + 1 }, (_, sequence) => wordsBefore(sequence));
const encodedWords: Omit<EncodedWords, "sequences"> = {
  count,
  wordStarts: starting,
  answerStarts: starting,
  answered: Int32Array.from(words.keys()),
  positions: Int32Array.from(words, ({ position }) => position),
  labels: Int32Array.from(words, ({ label }) => label),
  gold: tags.map(() => undefined),
};
const examples = tags.map((_, i) => ({ id: `${i}`, question: "", context: "" }));
const none = { charStarts: new Int32Array(8), charEnds: new Int32Array(8) };
const encodedAnswers: Omit<EncodedAnswers, "sequences"> = {
  count,
  examples,
  contexts: examples.map(() => none),
  owners: Int32Array.of(0, 1, 2, 3),
  places: examples.map(() => ({ position: 2, count: 2, first: 0 })),
  starts: Int32Array.from(starts),
  ends: Int32Array.from(ends),
};
const labels = ["O", "B-a", "I-a", "B-b", "I-b"];
const kinds = {
  token: { task: tokenClassification({ labels }) as Task, encoded: encodedWords },
  span: { task: questionAnswering() as Task, encoded: encodedAnswers },
};

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

describe.each(manifest.cases)("$name", (golden) => {
  const { task } = kinds[golden.head];
  const sequences = sequencesOf[golden.architecture];
  const encoded = { ...kinds[golden.head].encoded, sequences };
  const setUp = async (engine: Engine) => {
    const backbone = await loadBackbone(goldenPath(golden.architecture), { engine });
    const method = deepPrompt({
      promptLength: manifest.promptLength,
      promptLayers: golden.layers,
      reparameterization: golden.mlp ? "mlp" : "none",
      prefixHiddenSize: manifest.prefixHiddenSize,
      positionOffset: golden.positionOffset,
    });
    const parts = { backbone, method, head: task.head };
    const params = named(`${golden.key}.param.`) as Params;
    const rows = Int32Array.from({ length: count }, (_, row) => row);
    const batch = padBatch(sequences, rows, backbone.config.padTokenId);
    const feeds: TensorMap = batchFeeds(batch);
    const stepFeeds: TensorMap = {
      ...feeds,
      ...task.targets(encoded, { rows, length: batch.length }),
      [lossScaleInput]: floats([], [1 / task.weight(encoded, rows)]),
    };
    const step = await engine.compile(trainingGraph(parts, task, params, { hidden: 0, attention: 0 }).graph);
    const forward = await engine.compile(inferenceGraph(parts, params));
    return { rows, length: batch.length, params, feeds, step, forward, stepFeeds };
  };
  const width = tensors[`${golden.key}.logits`]!.shape[2]!;
  /** Of the real tokens, positions outside: what stands at padding is nobody's business. */
  const real = (logits: ArrayLike<number | bigint>): number[] =>
    Array.from({ length: logits.length }, (_, i) => i).flatMap((i) => {
      const row = Math.floor(i / width);
      return attentionMask[row % count]![Math.floor(row / count)] === 1 ? [Number(logits[i])] : [];
    });
  /** `[B, S, C]` of PyTorch → `[S·B, C]`. */
  const expectedLogits = (): number[] => {
    const { shape, data } = tensors[`${golden.key}.logits`]!;
    const [batch, length] = shape as [number, number, number];
    return real(
      Array.from({ length: data.length }, (_, i) => {
        const [row, c] = [Math.floor(i / width), i % width];
        return Number(data[((row % batch) * length + Math.floor(row / batch)) * width + c]);
      }),
    );
  };

  test("float64: logits, loss, gradients and ten losses to 1e-9", async () => {
    const { rows, length, params, feeds, step, forward, stepFeeds } = await setUp(reference);
    const { logits } = await forward.run({ ...feeds, ...params });
    expect(relativeError(real(logits!.data), expectedLogits())).toBeLessThan(1e-9);
    const first = await step.run({ ...stepFeeds, ...params });
    expect(Number(first.loss!.data[0])).toBeCloseTo(golden.loss, 9);
    for (const [name, expected] of Object.entries(named(`${golden.key}.grad.`))) {
      expect(relativeError(first[gradientOutput(name)]!.data, expected.data)).toBeLessThan(1e-9);
    }
    const evaluator = task.evaluator(encoded);
    evaluator.add({ rows, length, logits: Float64Array.from(logits!.data, Number) });
    expect(evaluator.result().loss).toBeCloseTo(golden.loss, 9);

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

  test("ONNX Runtime: logits to 1e-5, loss and gradients to 1e-4", async () => {
    const { params, feeds, step, forward, stepFeeds } = await setUp(native);
    const single = Object.fromEntries(
      Object.entries(params).map(([name, { shape, data }]) => [name, floats(shape, data as Float64Array)]),
    );
    const { logits } = await forward.run({ ...feeds, ...single });
    expect(relativeError(real(logits!.data), expectedLogits())).toBeLessThan(1e-5);
    const outputs = await step.run({ ...stepFeeds, ...single });
    expect(Number(outputs.loss!.data[0])).toBeCloseTo(golden.loss, 4);
    for (const [name, { data }] of Object.entries(named(`${golden.key}.grad.`))) {
      // A bias that shifts all positions alike has no gradient: nothing to divide by.
      const scale = Math.max(
        0.01,
        ...Array.from({ length: data.length }, (_, i) => Math.abs(Number(data[i]))),
      );
      const found = outputs[gradientOutput(name)]!.data;
      for (let i = 0; i < data.length; i++) {
        expect(Math.abs(Number(found[i]) - Number(data[i])) / scale).toBeLessThan(1e-4);
      }
    }
    await Promise.all([step.release(), forward.release()]);
  });
});
