/** Where input prompts start from, what they put in front of a text, and which row heads get. */

import { referenceEngine } from "ptuning/engine";
import type { Backbone } from "ptuning/internal/backbones";
import { readWeight } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { promptInput, promptTuning, pTuning } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph, initializeParams, longestInput } from "ptuning/internal/model";
import { padBatch } from "ptuning/internal/text";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { tinyBackbone } from "../support/tiny.ts";

const E = 32;
const { head } = sequenceClassification({ labels: ["w1", "w2 w3"], pooling: "cls" });
let backbone: Backbone;
let words: Float32Array;
beforeAll(async () => {
  backbone = await tinyBackbone(referenceEngine());
  words = (await readWeight(backbone.weights, "embeddings.word_embeddings.weight", "tiny")).data;
});
afterAll(() => backbone.close());

const start = async (options: Parameters<typeof promptTuning>[0], seed = 1): Promise<Float32Array> => {
  const parts = { backbone, method: promptTuning({ promptLength: 4, ...options }), head };
  const params = await initializeParams(parts, new Rng(seed), ["w1", "w2 w3"]);
  return params[promptInput]!.data as Float32Array;
};
const row = (data: Float32Array, index: number): number[] => [...data.subarray(index * E, (index + 1) * E)];

describe("a prompt starts", () => {
  test("from different word embeddings, others with another seed", async () => {
    const [first, second] = [await start({}), await start({}, 2)];
    const idsOf = (data: Float32Array): number[] =>
      [0, 1, 2, 3].map((at) =>
        Array.from({ length: 40 }, (_, id) => id).findIndex(
          (id) => `${row(words, id)}` === `${row(data, at)}`,
        ),
      );
    expect(new Set(idsOf(first)).size).toBe(4);
    expect(idsOf(first)).not.toContain(-1);
    expect(idsOf(second)).not.toEqual(idsOf(first));
  });

  test("from the labels: the mean over the pieces of each, then sampled words", async () => {
    const data = await start({ init: "labels" });
    const id = (word: number): number => 5 + word;
    expect(row(data, 0)).toEqual(row(words, id(1)));
    const mean = row(words, id(2)).map((x, i) => (x + row(words, id(3))[i]!) / 2);
    expect(relativeError(row(data, 1), mean)).toBeLessThan(1e-6);
    expect(row(data, 2)).not.toEqual(row(data, 3));
  });

  test("uniform within the paper's bound, or normal", async () => {
    const uniform = await start({ init: "uniform" });
    expect(Math.max(...uniform.map(Math.abs))).toBeLessThanOrEqual(0.5);
    expect(Math.min(...uniform)).toBeLessThan(-0.3);
    const spread = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / 128);
    expect(spread(await start({ preset: "peft" }))).toBeGreaterThan(0.8);
    expect(spread(await start({ preset: "thudm" }))).toBeLessThan(0.03);
  });
});

describe("an input prompt", () => {
  const logitsOf = async (options: Parameters<typeof promptTuning>[0], vectors?: number[]) => {
    const method = promptTuning({ promptLength: 2, ...options });
    const parts = { backbone, method, head };
    const params = { ...(await initializeParams(parts, new Rng(1))) };
    if (vectors) params[promptInput] = { dtype: "float32", shape: [2, E], data: Float32Array.from(vectors) };
    const sequences = await backbone.tokenizer.encode(["w7 w8", "w9"], 16);
    const session = await backbone.engine.compile(inferenceGraph(parts, params));
    const { logits } = await session.run({ ...batchFeeds(padBatch(sequences, [0, 1], 0)), ...params });
    return Array.from(logits!.data as Float64Array);
  };

  test("of word embeddings is the text with these words in front", async () => {
    const ids = [20, 21];
    const prompted = await logitsOf(
      { pooledRow: 0 },
      ids.flatMap((id) => row(words, id)),
    );
    // The same ids in the input itself, and no prompt: row 0 is then the first of them.
    const parts = { backbone, method: promptTuning({ promptLength: 2, pooledRow: 0 }), head };
    const params = await initializeParams(parts, new Rng(1));
    const sequences = await backbone.tokenizer.encode(["w7 w8"], 16);
    const input = new Int32Array([...ids, ...sequences.ids]);
    const plain = { ...parts, method: { ...parts.method, parameters: () => ({}), build: () => untouched } };
    const untouched = { positionOffset: 0, layerPrompt: () => undefined };
    const { [promptInput]: _, ...headParams } = params;
    const session = await backbone.engine.compile(inferenceGraph(plain, headParams));
    const column = (data: Int32Array) => ({ dtype: "int32" as const, shape: [data.length, 1], data });
    const { logits } = await session.run({
      input_ids: column(input),
      token_type_ids: column(new Int32Array(input.length)),
      attention_mask: column(new Int32Array(input.length).fill(1)),
      ...headParams,
    });
    expect(relativeError(prompted.slice(0, 2), Array.from(logits!.data as Float64Array))).toBeLessThan(1e-9);
  });

  test("is never pooled unless it is told to be", async () => {
    expect(await logitsOf({})).not.toEqual(await logitsOf({ pooledRow: 0 }));
  });

  test("takes positions from the text", () => {
    const longest = (method: ReturnType<typeof promptTuning>): number =>
      longestInput({ backbone, method, head });
    expect(longest(promptTuning({ promptLength: 8 }))).toBe(40);
    expect(longest(pTuning({ promptLength: 8 }))).toBe(40);
  });

  test.each([
    [{ promptLength: 0 }, /promptLength: expected a whole number above 0, got 0/],
    [{ pooledRow: 3 as 0 }, /pooledRow: expected text or 0, got 3/],
    [{ init: "words" as "labels" }, /init: expected one of normal, uniform, vocabulary, labels, got "words"/],
  ])("refuses %j", (options, message) => {
    expect(() => promptTuning(options)).toThrow(message);
  });
});
