/** What a run is set to where nobody says. */
import type { Backbone } from "ptuning/internal/backbones";
import { deepPrompt } from "ptuning/internal/methods";
import { resolveSettings, type TrainOptions, type TrainSettings } from "ptuning/internal/train";
import { questionAnswering, sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyBackbone, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

function settings(
  task: TrainOptions["task"],
  given: TrainSettings,
  positions = 512,
  method = deepPrompt({ promptLength: 20 }),
): TrainSettings {
  const large = { ...backbone, config: { ...backbone.config, maxPositions: positions } };
  const { data } = tinyOptions(large);
  const options: TrainOptions = { backbone: large, data, task, method, ...given };
  return resolveSettings(options, { backbone: large, method, head: task.head });
}

const answers = questionAnswering() as TrainOptions["task"];
const texts = sequenceClassification({ labels: ["a", "b"] }) as TrainOptions["task"];

test("a task's own lengths and passes, within what fits beside the prompt", () => {
  expect(settings(texts, {})).toMatchObject({ maxLength: 256, batchSize: 32, microBatchSize: 32 });
  expect(settings(answers, {})).toMatchObject({ maxLength: 384, batchSize: 32, microBatchSize: 16 });
  expect(settings(answers, {}, 256)).toMatchObject({ maxLength: 236 });
});

test("deep prompts learn faster beside heads that answer for each position", () => {
  expect(settings(texts, {}).learningRate).toBe(1e-2);
  expect(settings(answers, {}).learningRate).toBe(3e-2);
  expect(settings(answers, { learningRate: 2e-3 }).learningRate).toBe(2e-3);
  const mlp = deepPrompt({ promptLength: 20, reparameterization: "mlp" });
  expect(settings(answers, {}, 512, mlp).learningRate).toBe(3e-3);
});

test("what is given goes before, and a limit of the memory cuts passes by itself", () => {
  expect(settings(answers, { maxLength: 128, batchSize: 8 })).toMatchObject({
    maxLength: 128,
    microBatchSize: 8,
  });
  expect(settings(answers, { microBatchSize: 4 })).toMatchObject({ microBatchSize: 4 });
  expect(settings(answers, { memoryLimit: "2 GB" })).toMatchObject({ microBatchSize: 32 });
});
