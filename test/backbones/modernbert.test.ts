import { readFile } from "node:fs/promises";
import { architectures, loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { bitfit, deepPrompt } from "ptuning/internal/methods";
import { initializeParams, longestInput, missingWeights } from "ptuning/internal/model";
import { sequenceClassification } from "ptuning/tasks";
import { expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const json = JSON.parse(await readFile(goldenPath("modernbert/config.json"), "utf8"));
const architecture = architectures.find(({ modelTypes }) => modelTypes.includes("modernbert"))!;
const task = sequenceClassification({ labels: ["a", "b"], pooling: "pooler" });

test("BitFit is refused where there are no biases, and trains them where there are", async () => {
  await using bare = await loadBackbone(goldenPath("modernbert"));
  const { head } = sequenceClassification({ labels: ["a", "b"] });
  const parts = (backbone: typeof bare) => ({ backbone, method: bitfit(), head });
  await expect(initializeParams(parts(bare), new Rng(1))).rejects.toMatchObject({
    code: "OPTION_INVALID",
    message: expect.stringMatching(/bitfit trains weights of the backbone, of which modernbert .* has none/),
  });
  await using biased = await loadBackbone(goldenPath("modernbert-biases"));
  const trained = Object.keys(await initializeParams(parts(biased), new Rng(1)));
  expect(trained).toContain("backbone.layers.0.attn.Wqkv.bias");
  expect(trained).toContain("backbone.final_norm.bias");
});

test("the head in front of the classifier is drawn where a checkpoint lacks it, its norm as one", async () => {
  await using backbone = await loadBackbone(goldenPath("modernbert"));
  const missing = missingWeights({ backbone, method: deepPrompt(), head: task.head }, new Rng(1));
  expect(Object.keys(missing).sort()).toEqual(["head.dense.weight", "head.norm.weight"]);
  expect(new Set(missing["head.norm.weight"]!.data)).toEqual(new Set([1]));
  expect(new Set(missing["head.dense.weight"]!.data).size).toBeGreaterThan(100);
});

test("prompts cost no length; windows and bases of angles are read in both spellings", async () => {
  await using backbone = await loadBackbone(goldenPath("modernbert"));
  expect(longestInput({ backbone, method: deepPrompt({ promptLength: 20 }), head: task.head })).toBe(40);
  const layersOf = (given: object): unknown =>
    (architecture.parseConfig({ ...json, ...given }, "config.json") as unknown as { layers: unknown }).layers;
  const old = layersOf({
    layer_types: undefined,
    rope_parameters: undefined,
    global_attn_every_n_layers: 2,
    global_rope_theta: 100,
    local_rope_theta: 10,
  });
  const [everywhere, near] = [{ theta: 100 }, { theta: 10, window: 4 }];
  expect(old).toEqual([everywhere, near, everywhere, near]);
  const full = "full_attention";
  const sliding = "sliding_attention";
  const modern = layersOf({
    layer_types: [sliding, full, full, sliding],
    rope_parameters: {
      [full]: { rope_type: "default", rope_theta: 100 },
      [sliding]: { rope_type: "default", rope_theta: 10 },
    },
  });
  expect(modern).toEqual([near, everywhere, everywhere, near]);
});

test("angles that are scaled, and heads of an odd width, are refused by their key", () => {
  const parse = (given: object) => () => architecture.parseConfig({ ...json, ...given }, "c.json");
  expect(parse({ rope_scaling: { type: "linear", factor: 2 } })).toThrow(/c\.json: rope_scaling/);
  expect(parse({ rope_parameters: { full_attention: { rope_type: "yarn" } } })).toThrow(/rope_type/);
  expect(parse({ num_attention_heads: 16 })).toThrow(/num_attention_heads: expected heads of an even width/);
  expect(parse({ layer_types: ["full_attention"] })).toThrow(/layer_types: expected one for each layer/);
});
