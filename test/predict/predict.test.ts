import type { Adapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { fineTuning } from "ptuning/internal/methods";
import { createPredictor, embedTexts, type Predictor } from "ptuning/internal/predict";
import type { TextPrediction } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyExamples, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
let adapter: Adapter;
let predictor: Predictor<unknown, TextPrediction>;
beforeAll(async () => {
  backbone = await tinyBackbone();
  adapter = ofType(await eventsOf(tinyOptions(backbone, { epochs: 2 })), "done")[0]!.adapter;
  predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
});
afterAll(() => backbone.close());

describe("a predictor", () => {
  test("answers in the order of the texts, with a probability for each label", async () => {
    const examples = tinyExamples(200, 4);
    const predictions = await predictor.predict(examples);
    expect(predictions).toHaveLength(200);
    const reversed = await predictor.predict(examples.toReversed());
    for (const [i, { label, score, probabilities }] of predictions.entries()) {
      expect(reversed[199 - i]!.label).toBe(label);
      expect(Object.keys(probabilities)).toEqual(tinyData.labels);
      expect(score).toBe(probabilities[label!]);
      expect(score).toBe(Math.max(...Object.values(probabilities)));
      expect(Object.values(probabilities).reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    }
  });

  test.each(["fp32", "int8"] as const)(
    "gives the same to the bit alone as among others, in %s",
    async (precision) => {
      await using own = await createPredictor<unknown, TextPrediction>(adapter, backbone, { precision });
      const odd = { text: Array(50).fill("w9 w1").join(" ") };
      const examples = [...tinyExamples(32, 5), { text: "" }, odd, { text: "w3" }];
      const together = await own.predict(examples);
      const reversed = await own.predict(examples.toReversed());
      expect(reversed.toReversed()).toEqual(together);
      for (const [i, example] of examples.entries())
        expect(await own.predict([example])).toEqual([together[i]]);
    },
  );

  test("tells of progress and takes nothing, one, and texts of every length", async () => {
    const seen: number[] = [];
    const texts = Array.from({ length: 70 }, (_, i) => ({
      text: Array(i % 30)
        .fill("w3")
        .join(" "),
    }));
    expect(await predictor.predict(texts, { onProgress: (done) => seen.push(done) })).toHaveLength(70);
    expect(seen.at(-1)).toBe(1);
    expect(await predictor.predict([])).toEqual([]);
    expect(await predictor.predict([{ text: "" }])).toHaveLength(1);
  });

  test("scores labelled texts and refuses labels that it does not know", async () => {
    const { scores, loss, collapsed } = await predictor.evaluate(tinyData.dev);
    const predictions = await predictor.predict(tinyData.dev);
    const hits = predictions.filter(({ label }, i) => label === tinyData.dev[i]!.label).length;
    expect(scores.accuracy).toBe(hits / tinyData.dev.length);
    const nll = predictions.map(({ probabilities }, i) => -Math.log(probabilities[tinyData.dev[i]!.label!]!));
    expect(loss).toBeCloseTo(nll.reduce((a, b) => a + b, 0) / nll.length, 10);
    expect(collapsed).toBe(false);
    await expect(predictor.evaluate([{ text: "w1", label: "class 9" }])).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: 'label: expected one of class 0, class 1, class 2, got "class 9".',
    });
  });

  test("leaves layers that were trained in fp32, whatever the CPU is good at", async () => {
    const options = tinyOptions(backbone, { method: fineTuning(), learningRate: 1e-3, epochs: 1 });
    const { adapter: tuned } = ofType(await eventsOf(options), "done")[0]!;
    const answers = async (precision: "auto" | "fp32"): Promise<readonly TextPrediction[]> => {
      const own = await createPredictor<unknown, TextPrediction>(tuned, backbone, { precision });
      const predictions = await own.predict(tinyData.dev);
      await own.close();
      return predictions;
    };
    expect(await answers("auto")).toEqual(await answers("fp32"));
    await expect(createPredictor(tuned, backbone, { precision: "int8" })).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringMatching(/^precision: expected fp32 with fine-tuning, as .*, got int8\.$/),
    });
  });

  test("several adapters on one backbone do not mix", async () => {
    const other = ofType(await eventsOf(tinyOptions(backbone, { epochs: 1, seed: 77 })), "done")[0]!.adapter;
    const second = await createPredictor<unknown, TextPrediction>(other, backbone, { precision: "fp32" });
    const before = await predictor.predict(tinyData.dev);
    const theirs = await second.predict(tinyData.dev);
    expect(await predictor.predict(tinyData.dev)).toEqual(before);
    expect(theirs).not.toEqual(before);
    await second.close();
  });
});

test("embeddings are unit vectors that depend on the text only", async () => {
  const [a, b, again] = await embedTexts(["w1 w2 w3", "w4", "w1 w2 w3"], backbone);
  for (const vector of [a!, b!]) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  expect(again).toEqual(a);
  expect(await embedTexts(["w1 w2 w3"], backbone)).toEqual([a]);
  expect(a).not.toEqual(b);
  expect(await embedTexts([], backbone)).toEqual([]);
});
