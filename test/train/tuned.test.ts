/** Options that dev finds, from the run to the adapter that answers. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { createPredictor, zeroShot } from "ptuning/internal/predict";
import { type MultiTaskOptions, type TrainOptions, train } from "ptuning/internal/train";
import { multiLabelClassification, sequenceClassification, type TextPrediction } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  eventsOf,
  keepEvents,
  ofType,
  tinyBackbone,
  tinyData,
  tinyExamples,
  tinyLmFolders,
  tinyOptions,
} from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-tuned-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const { labels } = tinyData;
const data = { ...tinyData, dev: tinyExamples(80, 4) };

test("temperature and threshold of the kept state are the adapter's, saved, shown and honoured", async () => {
  const task = sequenceClassification({ labels, abstain: { precision: 0.97 } }) as TrainOptions["task"];
  const events = await eventsOf(tinyOptions(backbone, { task, data, epochs: 2 }));
  const { adapter, best } = ofType(events, "done")[0]!;
  const { temperature, abstain } = best!.tuned as { temperature: number; abstain: { threshold: number } };
  expect(temperature).not.toBe(1);
  expect(adapter.task.options).toMatchObject({ temperature, abstain });
  await adapter.save(join(folder, "adapter"));
  const loaded = await loadAdapter(join(folder, "adapter"));
  expect(loaded.task.options).toEqual(adapter.task.options);
  const card = await readFile(join(folder, "adapter", "README.md"), "utf8");
  expect(card).toContain(`| temperature | ${temperature} |`);
  expect(card).toContain(String(abstain.threshold));
  await using predictor = await createPredictor<unknown, TextPrediction>(loaded, backbone, {
    precision: "fp32",
  });
  const { scores, tuned } = await predictor.evaluate(data.dev);
  expect(tuned).toBeUndefined();
  expect(scores).toEqual(best!.scores);
  const predictions = await predictor.predict(data.dev);
  const answers = predictions.map(({ label }) => label);
  expect(answers.filter((label) => label !== null).length / answers.length).toBe(scores.coverage);
  for (const { label, guess, score, abstained } of predictions) {
    expect([label, abstained]).toEqual(score >= abstain.threshold ? [guess, false] : [null, true]);
  }
});

test("what could not be found is said once, at the end", async () => {
  const options = { labels, abstain: { precision: 0.9 }, temperature: "tuned" } as const;
  const task = sequenceClassification(options) as TrainOptions["task"];
  const none = await eventsOf(
    tinyOptions(backbone, { task, data: { ...data, dev: [] }, epochs: 1, refit: "never" }),
  );
  const messages = ofType(none, "warning").filter(({ code }) => code === "tuned");
  expect(messages.map(({ message }) => message)).toEqual([
    "temperature: expected at least 50 labelled dev examples to find one, got 0: it is 1.",
    "abstain: expected held-out answers to find a threshold for a precision of 0.9, got none: every text is answered.",
  ]);
  const { adapter } = ofType(none, "done")[0]!;
  expect(adapter.task.options).toMatchObject({ temperature: 1, abstain: { precision: 0.9, threshold: 0 } });
  // By default nobody asked for a temperature.
  const silent = await eventsOf(
    tinyOptions(backbone, { data: { ...data, dev: [] }, epochs: 1, refit: "never" }),
  );
  expect(ofType(silent, "warning").filter(({ code }) => code === "tuned")).toEqual([]);
});

test("several tasks have temperatures of their own, and say whose could not be found", async () => {
  const small = { ...data, dev: data.dev.slice(0, 20) };
  const tasks = {
    many: { task: sequenceClassification({ labels, temperature: "tuned" }), data },
    few: { task: sequenceClassification({ labels, temperature: "tuned" }), data: small },
  };
  const { task: _, data: __, ...shared } = tinyOptions(backbone, { epochs: 1 });
  const events = await keepEvents(train({ ...shared, tasks } as MultiTaskOptions));
  const warnings = ofType(events, "warning").filter(({ code }) => code === "tuned");
  expect(warnings.map(({ message }) => message)).toEqual([
    "few: temperature: expected at least 50 labelled dev examples to find one, got 20: it is 1.",
  ]);
  const { adapter } = ofType(events, "done")[0]!;
  await adapter.save(join(folder, "several"));
  const card = await readFile(join(folder, "several", "README.md"), "utf8");
  const own = adapter.heads.many!.task.options.temperature;
  expect(own).not.toBe(1);
  expect(card).toContain(`### many\n\n| setting | value |\n|---|---|\n| temperature | ${own} |`);
  expect(card).toContain("### few\n\n| setting | value |\n|---|---|\n| temperature | 1 |");
});

test("an adapter looks for nothing in the examples that it is asked about", async () => {
  const options = { labels: ["w1", "w2"], head: "verbalizer", template: "{text} {mask}" } as const;
  const task = sequenceClassification({ ...options });
  await using lm = await loadBackbone(tinyLmFolders.bert, { engine: nodeEngine({ threads: 1 }) });
  const adapter = await zeroShot(task as TrainOptions["task"], lm);
  expect(adapter.task.options.temperature).toBe(1);
  await using predictor = await createPredictor(adapter, lm, { precision: "fp32" });
  const examples = Array.from({ length: 60 }, (_, i) => ({ text: `w${i % 9}`, label: `w${1 + (i % 2)}` }));
  expect(await predictor.evaluate(examples)).not.toHaveProperty("tuned");
  expect(multiLabelClassification({ labels }).tune!({}).options).toMatchObject({
    temperature: 1,
    threshold: 0.5,
  });
});
