import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { fineTuning } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import { padBatch } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import { type SequenceClassificationOptions, sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askTransformers, expectEqualLogits } from "../support/checkpoints.ts";
import { has } from "../support/requirements.ts";
import { eventsOf, ofType, tinyData, tinyFolder, tinyOptions, tinyRobertaFolder } from "../support/tiny.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-checkpoint-"));
});
afterAll(() => rm(folder, { recursive: true }));

describe.each([
  ["BertForSequenceClassification", tinyFolder],
  ["RobertaForSequenceClassification", tinyRobertaFolder],
])("%s", (className, source) => {
  let backbone: Backbone;
  beforeAll(async () => {
    backbone = await loadBackbone(source);
  });
  afterAll(() => backbone.close());

  const rows = [...tinyData.dev.keys()];
  async function tuned(pooling: SequenceClassificationOptions["pooling"] & {}): Promise<Adapter> {
    const task = sequenceClassification({ labels: tinyData.labels, pooling }) as TrainOptions["task"];
    const events = await eventsOf(
      tinyOptions(backbone, { task, method: fineTuning(), learningRate: 1e-3, epochs: 2 }),
    );
    return ofType(events, "done")[0]!.adapter;
  }
  async function predictions(adapter: Adapter, on: Backbone): Promise<unknown[]> {
    const predictor = await createPredictor(adapter, on, { precision: "fp32" });
    const answers = await predictor.predict(tinyData.dev);
    await predictor.close();
    return answers;
  }

  test.each(["pooler", "mean"] as const)(
    "a saved folder with pooling %s is an adapter and a backbone",
    async (pooling) => {
      const adapter = await tuned(pooling);
      const path = join(folder, `${className}-${pooling}`);
      await adapter.save(path);
      const files = await readdir(path);
      expect(files).toEqual(
        expect.arrayContaining(["README.md", "config.json", "model.safetensors", "ptuning.json"]),
      );
      // transformers would take the folder for an adapter of PEFT.
      expect(files).not.toContain("adapter_config.json");
      const loaded = await loadAdapter(path);
      expect(loaded.params).toEqual(adapter.params);
      const expected = await predictions(adapter, backbone);
      expect(await predictions(loaded, backbone)).toEqual(expected);
      const own = await loadBackbone(path, { engine: backbone.engine });
      expect(await predictions(loaded, own)).toEqual(expected);
      await loaded.save(`${path}-again`);
      expect(await readFile(join(`${path}-again`, "model.safetensors"))).toEqual(
        await readFile(join(path, "model.safetensors")),
      );
    },
  );

  test.skipIf(!has.python)(
    "transformers computes the same logits",
    async () => {
      const adapter = await tuned("pooler");
      const path = join(folder, className);
      await adapter.save(path);
      const { task, params, method } = adapter;
      const encoded = await task.encode(tinyData.dev, backbone.tokenizer, 16);
      const batch = padBatch(encoded.sequences, rows, backbone.config.padTokenId);
      const session = await backbone.engine.compile(
        inferenceGraph({ backbone, method, head: task.head }, params),
      );
      const { logits } = await session.run({ ...batchFeeds(batch), ...params });
      const theirs = await askTransformers(path, folder, batch);
      expect(theirs).toMatchObject({
        class: className,
        labels: tinyData.labels,
        missing: [],
        unexpected: [],
      });
      const { ids } = await backbone.tokenizer.encode(["w1 w2"], 16);
      expect(theirs.tokens).toEqual([...ids]);
      expectEqualLogits(theirs, logits!);
    },
    180_000,
  );
});
