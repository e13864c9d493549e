/** NomicBERT as its authors publish it, and as transformers names its parts. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { architectures, type Backbone, loadBackbone, readWeight } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { bitfit, deepPrompt, lora } from "ptuning/internal/methods";
import { longestInput } from "ptuning/internal/model";
import { embedTexts } from "ptuning/internal/predict";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const published = goldenPath("nomic");
const config = JSON.parse(await readFile(join(published, "config.json"), "utf8"));
const { tensors } = await readSafetensors(join(published, "model.safetensors"));
const architecture = architectures.find(({ modelTypes }) => modelTypes.includes("nomic_bert"))!;
const texts = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"];
const { head } = sequenceClassification({ labels: ["a", "b"] });

/** What the authors' own code calls a configuration. */
const own = {
  model_type: "nomic_bert",
  vocab_size: 40,
  type_vocab_size: 2,
  n_embd: 16,
  n_layer: 3,
  n_head: 2,
  n_inner: 24,
  n_positions: 40,
  activation_function: "swiglu",
  layer_norm_epsilon: 1e-12,
  rotary_emb_base: 100,
  ...{ rotary_emb_fraction: 1.0, rotary_emb_interleaved: false, rotary_emb_scale_base: null },
  ...{
    resid_pdrop: 0.0,
    embd_pdrop: 0.0,
    attn_pdrop: 0.0,
    prenorm: false,
    qkv_proj_bias: false,
    causal: false,
  },
};

let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-nomic-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function written(json: object, weights: Readonly<Record<string, Tensor>>): Promise<Backbone> {
  const path = await mkdtemp(join(folder, `checkpoint-${files++}-`));
  await writeFile(join(path, "config.json"), JSON.stringify(json));
  await writeFile(join(path, "tokenizer.json"), await readFile(join(published, "tokenizer.json")));
  await writeFile(join(path, "model.safetensors"), encodeSafetensors(weights));
  return loadBackbone(path, { engine: nodeEngine({ threads: 1 }) });
}

const renamed = (name: (published: string) => string): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([key, tensor]) => [name(key), tensor]));

describe("weights", () => {
  test("queries, keys and values are thirds of one matrix where it lies", async () => {
    await using backbone = await loadBackbone(published, { engine: nodeEngine({ threads: 1 }) });
    const whole = tensors["encoder.layers.1.attn.Wqkv.weight"]!;
    for (const [i, part] of ["q", "k", "v"].entries()) {
      const read = await readWeight(backbone.weights, `layers.1.self_attn.${part}_proj.weight`, "nomic");
      expect(read.shape).toEqual([16, 16]);
      expect(read.data).toEqual(whole.data.slice(i * 256, (i + 1) * 256));
    }
    expect(backbone.parameterCount).toBe(
      Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0),
    );
  });

  test("have the names of the authors, with a prefix or not, or those of transformers", async () => {
    await using first = await loadBackbone(published, { engine: nodeEngine({ threads: 1 }) });
    const expected = await embedTexts(texts, first);
    const theirs: Record<string, Tensor> = {};
    for (const name of Object.keys(architecture.weights(first.config)))
      theirs[architecture.checkpointName(name)] = await readWeight(first.weights, name, "nomic");
    for (const weights of [
      renamed((name) => `bert.${name}`),
      renamed((name) => `nomic_bert.${name}`),
      theirs,
    ]) {
      await using backbone = await written(config, weights);
      expect(await embedTexts(texts, backbone)).toEqual(expected);
    }
  });

  test("that are not three equal parts are refused", async () => {
    const odd = { ...tensors["encoder.layers.0.attn.Wqkv.weight"]!, shape: [64, 12] };
    await expect(
      written(config, { ...tensors, "encoder.layers.0.attn.Wqkv.weight": odd }),
    ).rejects.toMatchObject({
      code: "BACKBONE_INVALID",
      message: expect.stringMatching(/Wqkv\.weight": expected 3 equal stretches of rows, got \[64, 12\]\.$/),
    });
  });
});

describe("configurations", () => {
  test("may have the authors' keys", async () => {
    await using theirs = await loadBackbone(published, { engine: nodeEngine({ threads: 1 }) });
    await using backbone = await written(own, tensors);
    expect(backbone.config).toEqual(theirs.config);
    expect(await embedTexts(texts, backbone)).toEqual(await embedTexts(texts, theirs));
  });

  test.each([
    [{ prenorm: true }, /prenorm/],
    [{ causal: true }, /causal/],
    [{ qkv_proj_bias: true }, /qkv_proj_bias/],
    [{ rotary_emb_fraction: 0.5 }, /rotary_emb_fraction/],
    [{ rotary_emb_interleaved: true }, /rotary_emb_interleaved/],
    [{ rotary_scaling_factor: 2 }, /rotary_scaling_factor/],
    [{ moe_every_n_layers: 2 }, /moe_every_n_layers/],
    [{ n_head: 3 }, /n_head: expected heads of an even width/],
    [{ n_head: 16 }, /n_head: expected heads of an even width/],
    [{ n_embd: undefined }, /hidden_size|n_embd/],
  ])("%j is refused by name", (change, message) => {
    expect(() => architecture.parseConfig({ ...own, ...change }, "config.json")).toThrow(message);
  });
});

test("prompts cost no length; BitFit trains the norms' biases; LoRA finds its layers by kind", async () => {
  await using backbone = await loadBackbone(published, { engine: nodeEngine({ threads: 1 }) });
  expect(longestInput({ backbone, method: deepPrompt({ promptLength: 20 }), head })).toBe(40);
  const biases = Object.keys(architecture.weights(backbone.config)).filter((name) =>
    bitfit().trains!(name, architecture),
  );
  expect(biases).toHaveLength(1 + 2 * 3);
  const adapted = Object.keys(lora().parameters(backbone.config, architecture));
  expect(adapted).toContain("lora.nomic_bert.layers.2.self_attn.q_proj.A");
  expect(adapted).toHaveLength(2 * 2 * 3);
});
