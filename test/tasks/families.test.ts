/** What every family on texts owes, on a tiny backbone: it learns, and an adapter answers the same wherever it is. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "ptuning/data";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { createPredictor } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { familyOf } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textFamilies } from "../support/families.ts";
import { eventsOf, ofType, tinyBackbone, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-families-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

describe.each(textFamilies)("$type", ({ type, settings, make, reaches: [score, least] }) => {
  const [train, dev, test_] = [make(150, 1), make(60, 2), make(60, 3)];
  const labels = [
    ...new Set(
      train.flatMap(
        (example) =>
          ("labels" in example ? example.labels : "label" in example ? example.label : []) as string[],
      ),
    ),
  ].sort();
  const data: Dataset<object> = { train, dev, test: test_, labels, fingerprint: "sha256:x", warnings: [] };
  const family = familyOf(type);
  let adapter: Adapter;

  beforeAll(async () => {
    const task = family.create(family.resolve(settings, data));
    const options = {
      task,
      data: data as TrainOptions["data"],
      epochs: 6,
      learningRate: 2e-2,
      maxLength: 24,
    };
    const events = await eventsOf(tinyOptions(backbone, options));
    adapter = ofType(events, "done")[0]!.adapter;
  }, 120_000);

  test("looks like its own examples, and like no others", () => {
    expect(family.fits(train)).toBe(true);
    expect(familyOf("regression").fits(train)).toBe(type === "regression");
  });

  test("learns", async () => {
    const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
    const { scores, collapsed } = await predictor.evaluate(test_);
    expect(Object.keys(scores).sort()).toEqual([...adapter.task.scores].sort());
    expect(scores[score]).toBeGreaterThan(least);
    expect(collapsed).toBe(false);
    await predictor.close();
  });

  test("answers the same after saving and loading, and in batches of 1 and 32", async () => {
    await adapter.save(join(folder, type));
    const loaded = await loadAdapter(join(folder, type));
    expect(loaded.task.options).toEqual(adapter.task.options);
    const [before, after] = [
      await createPredictor(adapter, backbone, { precision: "fp32" }),
      await createPredictor(loaded, backbone, { precision: "fp32" }),
    ];
    const examples = test_.slice(0, 32);
    const together = await before.predict(examples);
    expect(await after.predict(examples)).toEqual(together);
    for (const [i, example] of examples.entries()) {
      const [alone] = await after.predict([example]);
      expect(worstDifference(alone, together[i])).toBeLessThan(1e-5);
    }
    await Promise.all([before.close(), after.close()]);
  });

  test("needs no gold answers to predict", async () => {
    const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
    const open = test_.map((example) => {
      const { label, labels: several, score: number, ...rest } = example as Record<string, unknown>;
      return rest;
    });
    expect(await predictor.predict(open)).toEqual(await predictor.predict(test_));
    const row = adapter.task.tabulate(open[0]!, (await predictor.predict(open))[0], true)[0]!;
    expect(Object.keys(row).length).toBeGreaterThan(1);
    await predictor.close();
  });

  test("has a trivial answer, which it beats, unless it ranks candidates", async () => {
    const encode = (examples: readonly object[]) => adapter.task.encode(examples, backbone.tokenizer, 24);
    const [encodedTrain, encodedTest] = [await encode(train), await encode(test_)];
    const trivial = adapter.task.trivial?.(encodedTrain);
    expect(trivial === undefined).toBe(type === "candidate-ranking");
    // Candidates of one query have none, as was just seen.
    if (trivial === undefined) return;
    const evaluator = adapter.task.evaluator(encodedTest);
    const rows = Int32Array.from({ length: encodedTest.sequences.count }, (_, row) => row);
    evaluator.add({ rows, length: 24, logits: trivial.logits(encodedTest, { rows, length: 24 }) });
    expect(evaluator.result().scores[score]).toBeLessThan(least);
  });
});

/** Greatest difference of numbers at the same place; anything else must be equal, but for who is chosen of a group. */
function worstDifference(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return Math.abs(a - b);
  if (typeof a === "object" && a !== null && typeof b === "object" && b !== null) {
    expect(Object.keys(a)).toEqual(Object.keys(b));
    return Math.max(
      0,
      ...Object.entries(a).map(([key, value]) =>
        key === "chosen" ? 0 : worstDifference(value, (b as Record<string, unknown>)[key]),
      ),
    );
  }
  expect(a).toEqual(b);
  return 0;
}
