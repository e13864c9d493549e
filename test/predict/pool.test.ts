/** A pool of adapters answers as their predictors alone do, to the bit. */
import type { Adapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { createPredictor, createPredictorPool } from "ptuning/internal/predict";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyExamples, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
let adapter: Adapter;
beforeAll(async () => {
  backbone = await tinyBackbone();
  adapter = ofType(await eventsOf(tinyOptions(backbone, { epochs: 1 })), "done")[0]!.adapter;
});
afterAll(() => backbone.close());

test("an adapter answers as its predictor does", async () => {
  await using pool = await createPredictorPool(backbone, { precision: "fp32" });
  await using predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
  const added = await pool.add("tiny", adapter);
  expect(added).toMatchObject({ name: "tiny", state: "ready", method: "p-tuning-v2", pinned: false });
  const examples = tinyExamples(9, 4);
  const answers = await pool.predict(examples.map((example) => ({ adapter: "tiny", example })));
  expect(answers).toEqual(await predictor.predict(examples));
  await expect(pool.predict([{ adapter: "tini", example: examples[0] }])).rejects.toMatchObject({
    code: "ADAPTER_UNKNOWN",
  });
  expect(await pool.remove("tiny")).toBe(true);
  expect(pool.list()).toEqual([]);
});
