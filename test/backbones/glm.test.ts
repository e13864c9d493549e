import { readFile } from "node:fs/promises";
import { nodeEngine } from "ptuning/engine";
import { architectures, loadBackbone, weightNamer } from "ptuning/internal/backbones";
import { verbalizerHead } from "ptuning/internal/heads";
import { deepPrompt } from "ptuning/internal/methods";
import { checkTogether, keysAndValues, longestInput } from "ptuning/internal/model";
import { zeroShot } from "ptuning/internal/predict";
import { SequenceCollector } from "ptuning/internal/text";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { expect, test } from "vitest";
import { goldenPath, perTensorError } from "../support/golden.ts";

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

test("the activation is the one of training, with a setting for the other", () => {
  expect(architecture.parseConfig(json, "c.json").activation).toBe("gelu_pytorch_tanh");
  expect(architecture.parseConfig({ ...json, hidden_act: "gelu" }, "c.json").activation).toBe("gelu");
});

test("a text has the keys and values that it has without the answer in front of it", async () => {
  await using backbone = await loadBackbone(goldenPath("glm"), { engine: nodeEngine({ threads: 1 }) });
  const texts = [
    [7, 8, 4, 9, 10, 0],
    [11, 4, 0],
  ];
  const [plain, opened] = [new SequenceCollector(), new SequenceCollector()];
  for (const ids of texts) {
    plain.add(
      ids,
      ids.map(() => 0),
      false,
    );
    opened.add(
      [38, ...ids],
      [38, ...ids].map(() => 0),
      false,
      [ids.indexOf(4) + 1],
    );
  }
  const method = deepPrompt({ promptLength: 2 });
  const linear = { backbone, method, head: sequenceClassification({ labels: ["a", "b"] }).head };
  const cloze = { backbone, method, head: verbalizerHead([[[7]], [[8]]]) };
  const found = await keysAndValues(linear, backbone.engine, plain.finish(), [0, 2, 5, 6, 8]);
  // Behind one opening token, and behind two.
  const behind = await keysAndValues(cloze, backbone.engine, opened.finish(), [1, 3, 6, 8, 10]);
  expect(perTensorError(behind, found)).toBeLessThan(1e-6);
  const answers = await keysAndValues(cloze, backbone.engine, opened.finish(), [0, 7]);
  const [first, second] = [0, 1].map((i) =>
    answers.data.slice(i * answers.shape[1]!, (i + 1) * answers.shape[1]!),
  );
  // Masks at other positions of other texts.
  expect(first).not.toEqual(second);
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
