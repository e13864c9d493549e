import { readFile } from "node:fs/promises";
import { architectures, loadBackbone } from "ptuning/internal/backbones";
import { deepPrompt } from "ptuning/internal/methods";
import { inferenceGraph, longestInput, paramShapes } from "ptuning/internal/model";
import { sequenceClassification } from "ptuning/tasks";
import { expect, test } from "vitest";
import { goldenPath, readGolden } from "../support/golden.ts";

const json = JSON.parse(await readFile(goldenPath("mpnet/config.json"), "utf8"));
const architecture = architectures.find(({ modelTypes }) => modelTypes.includes("mpnet"))!;

test("buckets of relative positions are transformers', up to the longest text", async () => {
  await using backbone = await loadBackbone(goldenPath("mpnet"));
  // As large as real checkpoints; the small one has no row beyond 32 positions.
  const config = architecture.parseConfig({ ...json, max_position_embeddings: 514 }, "config.json");
  const parts = {
    backbone: { ...backbone, config, weights: withPositions(514) },
    method: deepPrompt({ promptLength: 2 }),
    head: sequenceClassification({ labels: ["a", "b"] }).head,
  };
  const { initializers } = inferenceGraph(parts, paramShapes(parts));
  const matrix = [...initializers.values()].find(({ shape }) => `${shape}` === "1,512,512")!;
  const { data } = matrix as unknown as { readonly data: Int32Array };
  const expected = readGolden<number[]>("mpnet/buckets.json");
  let wrong = 0;
  for (let query = 0; query < 512; query++)
    for (let key = 0; key < 512; key++) if (data[query * 512 + key] !== expected[key - query + 511]) wrong++;
  expect(wrong).toBe(0);

  function withPositions(rows: number): typeof backbone.weights {
    const name = "embeddings.position_embeddings.weight";
    return new Map([...backbone.weights, [name, { ...backbone.weights.get(name)!, shape: [rows, 16] }]]);
  }
});

test("a prompt costs no length of the text: positions start behind the padding index", async () => {
  await using backbone = await loadBackbone(goldenPath("mpnet"));
  const head = sequenceClassification({ labels: ["a", "b"] }).head;
  expect(longestInput({ backbone, method: deepPrompt({ promptLength: 20 }), head })).toBe(32);
});

test("configurations that the formula does not cover are refused by their key", () => {
  expect(() => architecture.parseConfig({ ...json, relative_attention_num_buckets: 31 }, "c.json")).toThrow(
    /c\.json: relative_attention_num_buckets/,
  );
  expect(() => architecture.parseConfig({ ...json, num_attention_heads: 3 }, "c.json")).toThrow(
    /num_attention_heads: expected a divisor of hidden_size/,
  );
});
