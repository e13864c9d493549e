import { readFile } from "node:fs/promises";
import { architectures, loadBackbone, weightNamer } from "ptuning/backbones";
import { deepPrompt } from "ptuning/methods";
import { checkTogether, longestInput } from "ptuning/model";
import { zeroShot } from "ptuning/predict";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const json = JSON.parse(await readFile(goldenPath("glm/config.json"), "utf8"));
const architecture = architectures.find(({ modelTypes }) => modelTypes.includes("glm"))!;

test("models of the same model_type that are not the GLM of 2022 are refused by name", () => {
  const glm4 = { model_type: "glm", hidden_size: 4096, num_hidden_layers: 40, num_key_value_heads: 2 };
  expect(() => architecture.parseConfig(glm4, "c.json")).toThrow(
    /c\.json: expected the GLM of 2022 .* such as GLM-4/,
  );
  const parse = (given: object) => () => architecture.parseConfig({ ...json, ...given }, "c.json");
  expect(parse({ attention_scale: 8 })).toThrow(/c\.json: attention_scale/);
  expect(parse({ relative_encoding: true })).toThrow(/c\.json: relative_encoding/);
});

test("weights are found with and without the prefix of hub classes", () => {
  const config = architecture.parseConfig(json, "config.json");
  const nameOf = weightNamer(architecture, config);
  for (const prefix of ["", "glm.", "module."]) {
    expect(nameOf(`${prefix}word_embeddings.weight`)).toBe("embeddings.word_embeddings.weight");
    const own = "transformer.layers.2.mlp.dense_h_to_4h.bias";
    expect(nameOf(`${prefix}${own}`)).toBe(own);
  }
  expect(nameOf("transformer.layers.3.mlp.dense_h_to_4h.bias")).toBeUndefined();
});

test("a prompt costs no length, and label words want a vocabulary that can open answers", async () => {
  await using backbone = await loadBackbone(goldenPath("glm"));
  const method = deepPrompt({ promptLength: 5 });
  const { head } = sequenceClassification({ labels: ["a", "b"] });
  expect(longestInput({ backbone, method, head })).toBe(20);
  const template = "{text} {mask}";
  const task = sequenceClassification({ labels: ["w1", "w2"], head: "verbalizer", template });
  expect(() => checkTogether({ backbone, method, head: task.head })).not.toThrow();
  await expect(zeroShot(task as Task, backbone, { maxLength: 9 })).rejects.toMatchObject({
    code: "BACKBONE_UNSUPPORTED",
    message: "backbone glm: expected a token that opens answers in its vocabulary, found none.",
  });
});
