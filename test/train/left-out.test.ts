/** Small data without a dev set: what is chosen is chosen on rows that short runs left out. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { createPredictor } from "ptuning/internal/predict";
import { type TrainOptions, train } from "ptuning/internal/train";
import { multiLabelClassification, type Task } from "ptuning/tasks";
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
  folder = await mkdtemp(join(tmpdir(), "ptuning-left-out-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const fresh = tinyExamples(120, 77);

const optionsOn = (rows: readonly TextExample[], change: Partial<TrainOptions> = {}): TrainOptions =>
  tinyOptions(backbone, { data: { ...tinyData, train: rows, dev: [] }, epochs: 10, ...change });

async function accuracyOf(
  adapter: Parameters<typeof createPredictor>[0],
  rows: readonly TextExample[],
): Promise<number> {
  const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
  const { scores } = await predictor.evaluate(rows);
  await predictor.close();
  return scores.accuracy!;
}

const without = (events: readonly KeptEvent[], ...types: string[]): string[] =>
  events.map(({ type }) => type).filter((type) => !types.includes(type));

describe("a run on few rows", () => {
  let events: readonly KeptEvent[];
  beforeAll(async () => {
    events = await eventsOf(optionsOn(tinyData.train));
  }, 120_000);

  test("makes three short runs behind its own updates, each on two thirds", () => {
    const types = without(events, "step", "checkpoint");
    expect(types.slice(0, 2)).toEqual(["start", "fold"]);
    expect(types.at(-1)).toBe("done");
    const folds = ofType(events, "fold");
    expect([...new Set(folds.map(({ fold }) => fold))]).toEqual([1, 2, 3]);
    for (const { update, updates, fold } of folds.filter((_, i) => folds[i + 1]?.fold !== folds[i]!.fold)) {
      expect([update, fold <= 3]).toEqual([updates, true]);
      // 64 of 96 rows are 8 updates an epoch: 60 updates at least, as a third of the run's 120 would be too few.
      expect(Math.abs(updates - 64)).toBeLessThanOrEqual(8);
    }
  });

  test("keeps the last state, and says what left-out rows say of it", async () => {
    const [refit] = ofType(events, "refit");
    const [done] = ofType(events, "done");
    expect(refit).toMatchObject({ leftOut: true, rows: 96 });
    const kept = refit!.taken ? refit!.fitted! : refit!.trained!;
    expect(done!.best).toMatchObject({ ...kept, step: 120, leftOut: true });
    expect(done!.adapter.provenance.metrics).toEqual({ "left out": kept.scores });
    expect(done!.best!.scores.accuracy).toBeGreaterThan(0.6);
    // On two thirds of the rows, so rather less than what the run itself comes to.
    expect(Math.abs((await accuracyOf(done!.adapter, fresh)) - done!.best!.scores.accuracy!)).toBeLessThan(
      0.25,
    );
    const last = ofType(events, "checkpoint").at(-1)!.state;
    expect(done!.adapter.params["prompt.embeddings"]!.data).toEqual(last.params["prompt.embeddings"]!.data);
  });

  test("comes to the same when it is stopped in a short run and resumed", async () => {
    const stopping = new AbortController();
    const options = optionsOn(tinyData.train);
    let state: TrainOptions["resume"];
    let seen = 0;
    for await (const event of train({ ...options, signal: stopping.signal })) {
      if (event.type === "checkpoint") state = await event.state();
      if (event.type === "fold" && ++seen === 70) stopping.abort();
      if (event.type === "done") expect(event.reason).toBe("aborted");
    }
    const rest = await eventsOf({ ...options, resume: state! });
    expect(ofType(rest, "step")).toEqual([]);
    const [done, whole] = [ofType(rest, "done")[0]!, ofType(events, "done")[0]!];
    expect(done.best).toEqual(whole.best);
    expect(done.adapter.params).toEqual(whole.adapter.params);
  }, 120_000);
});

test("short runs are a share of the run's updates, however many these are", async () => {
  const updatesOf = async (epochs: number): Promise<number> => {
    const stopping = new AbortController();
    for await (const event of train({ ...optionsOn(tinyData.train, { epochs }), signal: stopping.signal })) {
      if (event.type === "fold") return event.updates;
    }
    return 0;
  };
  // A third of 240 and of 480; each no more than 120 and no less than 60.
  expect(Math.abs((await updatesOf(20)) - 80)).toBeLessThanOrEqual(8);
  expect(Math.abs((await updatesOf(40)) - 120)).toBeLessThanOrEqual(8);
  // Never more epochs than the run has.
  expect(await updatesOf(2)).toBeLessThanOrEqual(18);
}, 120_000);

test("labels that are noise are seen to be noise", async () => {
  const labels = new Rng(8).shuffle(tinyData.train.map(({ label }) => label));
  const rows = tinyData.train.map((example, i) => ({ ...example, label: labels[i]! }));
  const events = await eventsOf(optionsOn(rows, { epochs: 20 }));
  const losses = ofType(events, "step").map(({ loss }) => loss);
  // The prompt learns some of them by heart.
  expect(Math.min(...losses)).toBeLessThan(0.8 * losses[0]!);
  const [refit] = ofType(events, "refit");
  for (const { scores } of [refit!.trained!, refit!.fitted!]) expect(scores.accuracy).toBeLessThan(0.55);
}, 120_000);

test("a linear probe that is better is said to be, and is there as an adapter", async () => {
  // Next to no updates at a rate that changes nothing, and a head that reads only the last of random layers.
  const events = await eventsOf(optionsOn(tinyData.train, { epochs: 1, learningRate: 1e-9 }));
  const [done] = ofType(events, "done");
  const [warning] = ofType(events, "warning").filter(({ code }) => code === "probe");
  const { adapter, evaluation } = done!.alternative!;
  expect(evaluation.scores.accuracy).toBeGreaterThan(done!.best!.scores.accuracy!);
  expect(warning!.message).toMatch(
    new RegExp(
      `accuracy ${evaluation.scores.accuracy!.toFixed(4)}, this run ${done!.best!.scores.accuracy!.toFixed(4)}`,
    ),
  );
  const path = join(folder, "probe");
  await adapter.save(path);
  const loaded = await loadAdapter(path);
  expect(loaded.method.options).toEqual({ solver: "fit" });
  expect(loaded.provenance.metrics).toEqual({ "left out": evaluation.scores });
  expect(await accuracyOf(loaded, fresh)).toBeGreaterThan((await accuracyOf(done!.adapter, fresh)) - 0.02);
}, 60_000);

test("a threshold is found on left-out rows", async () => {
  const rows = tinyData.train.map(({ text, label }) => ({ text, labels: [label!] }));
  const task = multiLabelClassification({ labels: tinyData.labels }) as Task;
  const [done] = ofType(await eventsOf(optionsOn(rows, { task })), "done");
  expect(done!.best!.tuned).toMatchObject({ threshold: expect.any(Number) });
  expect(done!.adapter.task.options.threshold).toBe(done!.best!.tuned!.threshold);
}, 60_000);

test.each([
  ["refit: never", tinyData.train, { refit: "never" }],
  ["500 rows", tinyExamples(500, 3), {}],
  ["rows that belong together", tinyData.train.map((row) => ({ ...row, group: "all" })), {}],
] as const)(
  "nothing is left out with %s",
  async (_, rows, change) => {
    const events = await eventsOf(optionsOn(rows, { epochs: 1, ...change }));
    expect(without(events, "step", "checkpoint", "warning")).toEqual(["start", "done"]);
    expect(ofType(events, "done")[0]!.best).toBeUndefined();
  },
  60_000,
);
