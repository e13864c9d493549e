import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadBackbone } from "ptuning/internal/backbones";
import { int32s } from "ptuning/internal/core";
import { fineTuning } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { padBatch } from "ptuning/internal/text";
import { type SequenceClassificationOptions, sequenceClassification, type Task } from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { askTransformers, expectEqualLogits } from "../support/checkpoints.ts";
import { has } from "../support/requirements.ts";
import { eventsOf, ofType, tinyData, tinyLmFolders, tinyOptions } from "../support/tiny.ts";

describe.each([
  ["BertForMaskedLM", tinyLmFolders.bert, "{text} w34 {mask}", ["w30", "w31", "w32"]],
  // Of its vocabulary single letters without a blank in front are one piece.
  ["RobertaForMaskedLM", tinyLmFolders.roberta, "{text}.{mask}", ["a", "b", "c"]],
] as const)("%s", (className, source, template, words) => {
  test.skipIf(!has.python)(
    "transformers computes the same logits of label words",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "ptuning-lm-checkpoint-"));
      const backbone = await loadBackbone(source);
      const options: SequenceClassificationOptions = {
        labels: tinyData.labels,
        head: "verbalizer",
        template,
        words: Object.fromEntries(tinyData.labels.map((label, i) => [label, words[i]!])),
      };
      const task = sequenceClassification(options) as Task;
      const method = fineTuning();
      const events = await eventsOf(tinyOptions(backbone, { task, method, learningRate: 1e-3, epochs: 1 }));
      const { adapter } = ofType(events, "done")[0]!;
      const path = join(folder, "tuned");
      await adapter.save(path);
      const { sequences } = await adapter.task.encode(tinyData.dev, backbone.tokenizer, 20);
      const batch = padBatch(sequences, [...tinyData.dev.keys()], backbone.config.padTokenId);
      const session = await backbone.engine.compile(
        inferenceGraph({ backbone, method, head: adapter.task.head }, adapter.params),
      );
      const { logits } = await session.run({ ...batchFeeds(batch), ...adapter.params });
      const { pieces } = adapter.task.options as Pick<SequenceClassificationOptions, "pieces">;
      const theirs = await askTransformers(path, folder, batch, {
        marks: int32s([batch.batch], sequences.marks!.positions),
        words: int32s([3], pieces!.flat(2)),
      });
      expect(theirs).toMatchObject({ class: className, missing: [] });
      // Their masked language model has no pooler; the checkpoint keeps the one that it came with.
      for (const name of theirs.unexpected) expect(name).toContain("pooler");
      expectEqualLogits(theirs, logits!);
      await backbone.close();
      await rm(folder, { recursive: true });
    },
    180_000,
  );
});
