/**
 * Masked-LM heads, verbalizers, and pseudo-tokens inside texts on tiny random checkpoints (tools/reference/make_lm_heads.py:
 * BertForMaskedLM and RobertaForMaskedLM in float64, and GLM in plain PyTorch, whose answers stand behind the text): logits,
 * loss and gradients.
 */

import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, loadBackbone, weightNamer } from "ptuning/internal/backbones";
import { floats, type Params, Rng, type Tensor } from "ptuning/internal/core";
import { readSafetensors } from "ptuning/internal/files";
import { methodFrom } from "ptuning/internal/methods";
import {
  batchFeeds,
  gradientOutput,
  inferenceGraph,
  initializeParams,
  lossScaleInput,
  trainingGraph,
} from "ptuning/internal/model";
import { padBatch, SequenceCollector } from "ptuning/internal/text";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { goldenPath, perTensorError, readGolden, relativeError } from "../support/golden.ts";

interface Case {
  readonly name: string;
  readonly method: string;
  /** Options of the method. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Absent with a linear head. */
  readonly pieces: number[][][] | null;
  readonly counts: number[];
  readonly calibration?: number[];
  readonly loss?: number;
  /** Which of the inputs; left out, those of the numbers of masks and pseudo-tokens. */
  readonly input?: string;
}

interface Manifest {
  readonly promptLength: number;
  readonly labels: number[];
  readonly inputs: Readonly<Record<string, { tokens: number[][]; marks: number[][] }>>;
  readonly cases: Case[];
}

const reference = referenceEngine();
const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

describe.each(["bert", "roberta", "glm"])("%s", async (architecture) => {
  const manifest = readGolden<Manifest>(`lm/${architecture}/golden.json`);
  const { tensors } = await readSafetensors(goldenPath(`lm/${architecture}/golden.safetensors`));
  const texts = manifest.labels.length;

  describe.each(manifest.cases.map((golden, i) => ({ ...golden, key: `case${i}` })))("$name", (golden) => {
    const { key, method: name, pieces, counts, calibration, loss } = golden;
    const named = (prefix: string): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(tensors)
          .filter(([other]) => other.startsWith(`${key}.${prefix}.`))
          .map(([other, tensor]) => [other.slice(`${key}.${prefix}.`.length), tensor]),
      );

    const setUp = async (engine: Engine, precise = (given: Params): Params => given) => {
      const backbone: Backbone = await loadBackbone(goldenPath(`lm/${architecture}`), { engine });
      const labels = (pieces ?? ["a", "b", "c"]).map((_, i) => `label ${i}`);
      const task = sequenceClassification(
        pieces === null
          ? { labels, pooling: "cls" }
          : {
              labels,
              head: "verbalizer",
              template: "{text} {mask}",
              pieces,
              ...(calibration && { calibration }),
            },
      );
      const flat = name === "p-tuning-v2" ? { promptLength: manifest.promptLength } : {};
      const parts = { backbone, method: methodFrom(name, golden.options ?? flat), head: task.head };
      const start = name === "linear-probe" ? {} : await initializeParams(parts, new Rng(1));
      const params = precise({ ...start, ...named("param") } as Params);
      const { tokens, marks } =
        manifest.inputs[
          golden.input ??
            `${counts.join(",")} masks, ${golden.options ? manifest.promptLength : 0} pseudo-tokens`
        ]!;
      const collected = new SequenceCollector();
      for (const [i, ids] of tokens.entries()) {
        collected.add(ids, new Uint8Array(ids.length), false, marks[i]!);
      }
      const sequences = collected.finish();
      const rows = Int32Array.from(tokens.keys());
      const batch = padBatch(sequences, rows, backbone.config.padTokenId);
      const encoded = {
        count: texts,
        sequences,
        ...(counts.length > 1 && {
          itemStarts: Int32Array.from({ length: texts + 1 }, (_, i) => i * counts.length),
        }),
        labels: Int32Array.from(manifest.labels),
        examples: [],
      };
      const feeds = { ...batchFeeds(batch), ...params };
      const stepFeeds = {
        ...feeds,
        ...task.targets(encoded, { rows, length: batch.length }),
        [lossScaleInput]: floats([], [1 / texts]),
      };
      const forward = await engine.compile(inferenceGraph(parts, params));
      const { logits } = await forward.run(feeds);
      await forward.release();
      const gradients: Record<string, Tensor> = {};
      let found: number | undefined;
      if (loss !== undefined) {
        const step = await engine.compile(
          trainingGraph(parts, task as never, params, { hidden: 0, attention: 0 }).graph,
        );
        const outputs = await step.run(stepFeeds);
        await step.release();
        found = Number(outputs.loss!.data[0]);
        for (const param of Object.keys(params)) gradients[param] = outputs[gradientOutput(param)]!;
      }
      const ownName = weightNamer(backbone.architecture, backbone.config);
      const expected = Object.fromEntries(
        Object.entries(named("grad")).map(([other, tensor]) => {
          const own = ["fine-tuning", "bitfit"].includes(name) ? ownName(other) : undefined;
          return [own === undefined ? other : `backbone.${own}`, tensor];
        }),
      );
      return { logits: ofTexts(logits!, labels.length), gradients, expected, found };
    };

    /** Adds up the sequences of each text; words of one piece alone leave a number per text open. */
    function ofTexts({ data }: Tensor, width: number): Tensor {
      const values = new Float64Array(texts * width);
      const each = counts.length;
      for (let i = 0; i < data.length; i++) {
        values[Math.floor(i / (each * width)) * width + (i % width)]! += Number(data[i]);
      }
      if (`${counts}` === "1" && loss !== undefined) {
        for (let text = 0; text < texts; text++) {
          const row = values.subarray(text * width, (text + 1) * width);
          const mean = row.reduce((a, b) => a + b) / width;
          for (let c = 0; c < width; c++) row[c]! -= mean;
        }
      }
      return { dtype: "float64", shape: [texts, width], data: values };
    }

    test("float64: to 1e-9", async () => {
      const { logits, gradients, expected, found } = await setUp(reference);
      expect(relativeError(logits.data, tensors[`${key}.logits`]!.data)).toBeLessThan(1e-9);
      if (loss !== undefined) expect(Math.abs(found! - loss)).toBeLessThan(1e-9);
      expect(Object.keys(gradients).sort()).toEqual(Object.keys(expected).sort());
      for (const [param, { data }] of Object.entries(expected)) {
        expect(relativeError(gradients[param]!.data, data), param).toBeLessThan(1e-9);
      }
    });

    test("ONNX Runtime: logits to 1e-5, gradients to 1e-4", async () => {
      const { logits, gradients, expected } = await setUp(native, single);
      expect(perTensorError(logits, tensors[`${key}.logits`]!)).toBeLessThanOrEqual(1e-5);
      const magnitudes = Object.values(expected).map(({ data }) =>
        (data as Float64Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0),
      );
      // Gradients of attention queries and keys nearly cancel: they are measured at a share of the greatest.
      const least = 1e-2 * Math.max(...magnitudes);
      for (const [param, tensor] of Object.entries(expected)) {
        expect(perTensorError(gradients[param]!, tensor, least), param).toBeLessThanOrEqual(1e-4);
      }
    });
  });
});

/** As the engine takes them: float32. */
function single(params: Params): Params {
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape, data }]) => [name, floats(shape, data)]),
  );
}
