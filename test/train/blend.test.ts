/** Heads on the vectors of the tuned and of the untouched backbone side by side. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { Adapter, attach, loadAdapter, mergeAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { floats, type Params, Rng } from "ptuning/internal/core";
import { fineTuning, linearProbe, lora } from "ptuning/internal/methods";
import { bareGraph, bareInput, batchFeeds, checkTogether, inferenceGraph } from "ptuning/internal/model";
import { createPredictor, embedTexts } from "ptuning/internal/predict";
import { padBatch } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import {
  multiLabelClassification,
  sequenceClassification,
  type Task,
  taskFrom,
  textRegression,
} from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  eventsOf,
  type KeptEvent,
  ofType,
  tinyBackbone,
  tinyData,
  tinyExamples,
  tinyOptions,
} from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-blend-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const width = 32;
const unit = (vector: ArrayLike<number>): number[] => {
  const norm = Math.hypot(...Array.from(vector));
  return Array.from(vector, (x) => x / norm);
};

/** A prompt that hides the texts, at a rate that changes nothing: the untouched backbone knows more. */
const blinded = { epochs: 1, learningRate: 1e-9, blend: "auto" } as const;
async function blindOptions(change: Partial<TrainOptions> = {}): Promise<TrainOptions> {
  const { deepPrompt } = await import("ptuning/internal/methods");
  return tinyOptions(backbone, {
    ...blinded,
    method: deepPrompt({ promptLength: 16, initScale: 6 }),
    ...change,
  });
}

/** What an adapter answers for some texts, as logits of its temperature. */
async function answersOf(adapter: Adapter, examples: readonly TextExample[]): Promise<number[][]> {
  await using predictor = await createPredictor<unknown, { probabilities: Record<string, number> }>(
    adapter,
    backbone,
    {
      precision: "fp32",
    },
  );
  return (await predictor.predict(examples)).map(({ probabilities }) => Object.values(probabilities));
}

describe("a head that held-out rows like better", () => {
  let events: readonly KeptEvent[];
  let adapter: Adapter;
  beforeAll(async () => {
    events = await eventsOf(await blindOptions());
    adapter = ofType(events, "done")[0]!.adapter;
  }, 60_000);

  test("is kept, and the run says so", () => {
    const [refit] = ofType(events, "refit");
    expect(refit).toMatchObject({ kept: "blended", taken: true });
    const { trained, fitted, blended } = refit!;
    expect(blended!.scores.accuracy).toBeGreaterThan(
      Math.max(trained!.scores.accuracy!, fitted!.scores.accuracy!),
    );
    const [done] = ofType(events, "done");
    expect(done!.best).toMatchObject({ scores: blended!.scores, loss: blended!.loss });
    expect(adapter.task.options).toMatchObject({ blend: true, pooling: "mean" });
    expect(adapter.params["head.weight"]!.shape).toEqual([3, 2 * width]);
    expect(adapter.provenance.training!.refit).toEqual({ rows: 96, strength: expect.any(Number) });
  });

  test("answers on dev as the run said, is saved and read again, and says that PEFT cannot compute it", async () => {
    const path = join(folder, "kept");
    await adapter.save(path);
    const loaded = await loadAdapter(path);
    const predictor = await createPredictor(loaded, backbone, { precision: "fp32" });
    const found = await predictor.evaluate(tinyData.dev);
    await predictor.close();
    const { best } = ofType(events, "done")[0]!;
    expect(found.scores.accuracy).toBe(best!.scores.accuracy);
    expect(found.loss).toBeCloseTo(best!.loss, 5);
    expect(JSON.parse(await readFile(join(path, "adapter_config.json"), "utf8")).not_for_peft).toMatch(
      /PEFT reads a text once/,
    );
    expect(await readFile(join(path, "README.md"), "utf8")).toMatch(/a text passes the backbone twice/);
  });

  test("answers for a text what it answers for it among others, to the bit", async () => {
    const all = await answersOf(adapter, tinyData.test);
    expect(await answersOf(adapter, tinyData.test.slice(7, 8))).toEqual([all[7]]);
  });

  test("gets the same from a pass of the untouched backbone that others share", async () => {
    const parts = attach(adapter, backbone);
    const { sequences } = await adapter.task.encode(tinyData.test, backbone.tokenizer, 16);
    const feeds = batchFeeds(
      padBatch(
        sequences,
        Int32Array.from({ length: 9 }, (_, i) => i),
        0,
        16,
      ),
    );
    const { params } = adapter;
    await using bare = await backbone.engine.compile(bareGraph(parts));
    await using alone = await backbone.engine.compile(inferenceGraph(parts, params));
    await using sharing = await backbone.engine.compile(inferenceGraph(parts, params, undefined, "given"));
    await alone.bind(params);
    await sharing.bind(params);
    const { features } = await bare.run(feeds);
    const { logits } = await alone.run(feeds);
    expect((await sharing.run({ ...feeds, [bareInput]: features! })).logits).toEqual(logits);
    // Its head is named by what it reads, and only adapters that read the same share.
    expect(parts.head.bare).toMatchObject({ name: "mean" });
    expect(sequenceClassification({ labels: ["a", "b"] }).head.bare).toBeUndefined();
  });

  test("computes W · [tuned / |tuned|, bare / |bare|] + b on vectors that others compute", async () => {
    const texts = tinyData.test.slice(0, 5).map(({ text }) => ({ text }));
    const bare = await embedTexts(
      texts.map(({ text }) => text),
      backbone,
    );
    // A head whose logits are the vector under the prompt itself.
    const labels = Array.from({ length: width }, (_, i) => `f${i}`);
    const identity = floats(
      [width, width],
      Array.from({ length: width * width }, (_, i) => (i % (width + 1) === 0 ? 1 : 0)),
    );
    const seeing = new Adapter({
      ...adapter,
      task: sequenceClassification({ labels, temperature: 1 }) as Task,
      params: {
        ...adapter.params,
        "head.weight": identity,
        "head.bias": floats([width], new Array(width).fill(0)),
      },
    });
    const parts = attach(seeing, backbone);
    const { sequences } = await seeing.task.encode(texts, backbone.tokenizer, 16);
    await using session = await backbone.engine.compile(inferenceGraph(parts, seeing.params));
    await session.bind(seeing.params);
    const { [headWeight]: weight, [headBias]: bias } = adapter.params as Params;
    const temperature = Number(adapter.task.options.temperature ?? 1);
    const answers = await answersOf(adapter, texts);
    for (const [i] of texts.entries()) {
      const feeds = batchFeeds(padBatch(sequences, Int32Array.of(i), 0, 16));
      const { logits } = await session.run(feeds);
      const tuned = Array.from(logits!.data as Float32Array);
      const vector = [...unit(tuned), ...unit(bare[i]!)];
      const scores = Array.from(bias!.data, (free, c) =>
        vector.reduce((sum, x, f) => sum + x * weight!.data[c * 2 * width + f]!, free),
      ).map((score) => Math.exp(score / temperature));
      const total = scores.reduce((sum, score) => sum + score, 0);
      for (const [c, score] of scores.entries()) expect(answers[i]![c]).toBeCloseTo(score / total, 4);
    }
  });

  test("is taken over by no other run", async () => {
    const start = { from: adapter, head: "keep" } as const;
    await expect(eventsOf(await blindOptions({ start }))).rejects.toThrow(
      /start\.head: expected a saved head of the kind/,
    );
  });
});

const headWeight = "head.weight";
const headBias = "head.bias";

test("on rows that short runs leave out it is chosen in the same way", async () => {
  const events = await eventsOf(await blindOptions({ data: { ...tinyData, dev: [] } }));
  const [refit] = ofType(events, "refit");
  const [done] = ofType(events, "done");
  expect(refit).toMatchObject({ leftOut: true, kept: "blended" });
  expect(done!.best).toMatchObject({ leftOut: true, scores: refit!.blended!.scores });
  // What the rows said of the head is what it does to others, about.
  const rows = tinyExamples(120, 77);
  const predictor = await createPredictor(done!.adapter, backbone, { precision: "fp32" });
  const { scores } = await predictor.evaluate(rows);
  await predictor.close();
  expect(Math.abs(scores.accuracy! - refit!.blended!.scores.accuracy!)).toBeLessThan(0.2);
}, 60_000);

test("where held-out rows cannot tell it from the others, the loss says it", async () => {
  const events = await eventsOf(tinyOptions(backbone, { epochs: 12, blend: "auto" }));
  const [{ trained, fitted, blended, kept }] = ofType(events, "refit") as [
    Extract<KeptEvent, { type: "refit" }>,
  ];
  const better = [trained!, fitted!].reduce((one, other) => {
    const gain = other.scores.accuracy! - one.scores.accuracy!;
    return gain > 0 || (gain === 0 && other.loss <= one.loss) ? other : one;
  });
  const { accuracy } = better.scores as { accuracy: number };
  const lost = accuracy - blended!.scores.accuracy!;
  const error = Math.sqrt((accuracy * (1 - accuracy)) / tinyData.dev.length);
  expect(kept === "blended").toBe(lost < 0 || (lost < error && blended!.loss < better.loss));
}, 60_000);

test("a linear model on the untouched backbone that dev likes better is said to be, and is there", async () => {
  const events = await eventsOf(await blindOptions({ blend: "never" }));
  const [done] = ofType(events, "done");
  const { adapter, evaluation } = done!.alternative!;
  expect(evaluation.scores.accuracy).toBeGreaterThan(done!.best!.scores.accuracy!);
  const [warning] = ofType(events, "warning").filter(({ code }) => code === "probe");
  expect(warning!.message).toMatch(
    /untouched backbone \(pooling mean\) is better on dev: accuracy 0\.\d+, this run/,
  );
  expect(adapter.provenance.metrics).toEqual({ dev: evaluation.scores });
  const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
  const { scores } = await predictor.evaluate(tinyData.dev);
  await predictor.close();
  expect(scores.accuracy).toBe(evaluation.scores.accuracy);
}, 60_000);

test.each([
  ["several labels", multiLabelClassification({ labels: tinyData.labels }) as Task, 3],
  ["a score", textRegression() as Task, 1],
])(
  "%s: it is offered, and read again",
  async (_, task, outputs) => {
    const rows = (examples: readonly TextExample[]): TextExample[] =>
      examples.map(({ text, label }) => ({ text, labels: [label!], score: Number(label!.at(-1)) }));
    const data = { ...tinyData, train: rows(tinyData.train), dev: rows(tinyData.dev) };
    const events = await eventsOf(await blindOptions({ task, data }));
    const [refit] = ofType(events, "refit");
    const { adapter } = ofType(events, "done")[0]!;
    expect(refit).toMatchObject({ kept: "blended" });
    expect(adapter.params[headWeight]!.shape).toEqual([outputs, 2 * width]);
    expect(taskFrom(adapter.task.type, adapter.task.options).head.bare).toBeDefined();
  },
  60_000,
);

test.each([
  ["training.blend: never", { blend: "never" }],
  ["refit: never", { refit: "never" }],
  ["nothing tuned but the head", { method: linearProbe() }],
  ["trained weights", { method: fineTuning(), learningRate: 1e-4 }],
  ["a preset", { task: sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as Task }],
  ["1,000 texts", { data: { ...tinyData, train: tinyExamples(1000, 5) } }],
] as const)(
  "it is not offered with %s",
  async (_, change) => {
    const events = await eventsOf(await blindOptions(change as Partial<TrainOptions>));
    for (const refit of ofType(events, "refit")) expect(refit.blended).toBeUndefined();
    expect(ofType(events, "done")[0]!.adapter.params[headWeight]!.shape).toEqual([3, width]);
  },
  60_000,
);

test("what has no untouched backbone any more is refused", async () => {
  const task = sequenceClassification({ labels: tinyData.labels }).blended!();
  const parts = { backbone, head: task.head };
  expect(() => checkTogether({ ...parts, method: fineTuning() })).toThrow(
    /no untouched|reads the untouched one/,
  );
  expect(() => checkTogether({ ...parts, method: lora() })).not.toThrow();
  const adapter = new Adapter({
    task: task as Task,
    method: lora(),
    params: { [headWeight]: floats([3, 64], Array.from(new Rng(1).shuffle(new Float32Array(192)))) },
    backbone: {
      id: backbone.id,
      fingerprint: "",
      modelType: "bert",
      hiddenSize: width,
      numLayers: 2,
      numHeads: 4,
    },
    maxLength: 16,
    provenance: { createdAt: "", versions: {} },
  });
  await expect(mergeAdapter(adapter, backbone)).rejects.toThrow(
    /merge: expected a head that reads the tuned backbone alone/,
  );
  // No configuration asks for such a head: runs come to it by themselves.
  expect(() =>
    sequenceClassification({
      labels: ["a", "b"],
      head: "verbalizer",
      template: "{text} {mask}",
      blend: true,
    }),
  ).toThrow(/blend: expected head linear/);
});
