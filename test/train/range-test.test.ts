/** Learning-rate range tests, and rates of the head's own, in short runs on a tiny backbone. */
import type { Backbone } from "ptuning/internal/backbones";
import { fineTuning } from "ptuning/internal/methods";
import { findLearningRate, type RateEvent, type SuggestionEvent } from "ptuning/internal/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

const find = async (
  change: Parameters<typeof tinyOptions>[1] = {},
  range: Parameters<typeof findLearningRate>[1] = {},
): Promise<{ rates: RateEvent[]; found: SuggestionEvent }> => {
  const rates: RateEvent[] = [];
  for await (const event of findLearningRate(tinyOptions(backbone, change), range)) {
    if (event.type === "rate") rates.push(event);
    if (event.type === "suggestion") return { rates, found: event };
  }
  throw new Error("no suggestion");
};

describe("a range test", () => {
  test("raises the rate by equal factors and suggests one at which a run learns", async () => {
    const { rates, found } = await find();
    expect(rates[0]!.learningRate).toBeCloseTo(3e-5, 12);
    const factors = rates.slice(1).map(({ learningRate }, i) => learningRate / rates[i]!.learningRate);
    for (const factor of factors) expect(factor).toBeCloseTo(1e5 ** (1 / 99), 9);
    expect(found.curve.map(({ learningRate }) => learningRate)).toEqual(
      rates.map(({ learningRate }) => learningRate),
    );
    // Between where the loss falls fastest and where it is lowest, and on neither.
    expect(found.learningRate).toBeGreaterThan(found.steepestAt!);
    expect(found.learningRate).toBeLessThan(found.lowestAt);
    const smoothed = found.curve.map(({ loss }) => loss);
    expect(found.curve.find(({ loss }) => loss === Math.min(...smoothed))!.learningRate).toBe(found.lowestAt);
    const losses = ofType(
      await eventsOf(tinyOptions(backbone, { learningRate: found.learningRate! })),
      "step",
    );
    expect(losses.at(-1)!.loss).toBeLessThan(0.8 * losses[0]!.loss);
  });

  test("starts as the run would, whatever it selects by and however often it evaluates", async () => {
    const { rates } = await find(
      { patience: 1, evaluateEvery: 1 },
      { lowest: 1e-9, highest: 1e-8, steps: 4 },
    );
    const steps = ofType(await eventsOf(tinyOptions(backbone)), "step");
    expect(rates.map(({ loss }) => loss)[0]).toBe(steps[0]!.loss);
    expect(rates).toHaveLength(4);
    const again = await find({}, { lowest: 1e-9, highest: 1e-8, steps: 4 });
    expect(again.rates).toEqual(rates);
  });

  test("smooths each loss by its neighbours, which weigh 0.8 per step between", async () => {
    const { rates, found } = await find({}, { lowest: 1e-9, highest: 1e-2, steps: 12 });
    for (const [i, { loss }] of found.curve.entries()) {
      const weights = rates.map((_, j) => 0.8 ** Math.abs(i - j));
      const sum = rates.reduce((total, rate, j) => total + weights[j]! * rate.loss, 0);
      expect(loss).toBeCloseTo(sum / weights.reduce((a, b) => a + b), 9);
    }
  });

  test("ends where the loss runs away, also where it is no number any more", async () => {
    const { rates, found } = await find({}, { highest: 1e4 });
    expect(found.diverged).toBe(true);
    expect(rates.length).toBeLessThan(100);
    const broken = await find(
      { method: fineTuning(), clipNorm: 1e9 },
      { lowest: 1e37, highest: 1e38, steps: 20 },
    );
    expect(broken.found.diverged).toBe(true);
  });

  test("goes round small data", async () => {
    const data = { ...tinyData, train: tinyData.train.slice(0, 10) };
    const { rates, found } = await find({ data }, { lowest: 1e-12, highest: 1e-11, steps: 7 });
    expect(rates).toHaveLength(7);
    expect(found.curve).toHaveLength(7);
  });

  test.each([
    [{ steps: 1 }, "steps: expected a whole number above 1, got 1."],
    [{ lowest: 1, highest: 0.1 }, "range: expected 0 < lowest < highest, got 1 and 0.1."],
  ])("refuses %j", async (range, message) => {
    await expect(find({}, range)).rejects.toThrow(message);
  });
});

describe("headLearningRate", () => {
  const still = { hiddenDropout: 0, attentionDropout: 0, epochs: 1 } as const;
  const run = async (change: Parameters<typeof tinyOptions>[1]) =>
    eventsOf(tinyOptions(backbone, { ...still, ...change }));

  test.each(["adamw", "adafactor"] as const)("%s moves the head by it alone", async (optimizer) => {
    const paramsAt = async (headLearningRate: number) =>
      ofType(await run({ optimizer, headLearningRate, schedule: "constant", refit: "never" }), "done")[0]!
        .adapter.params;
    const [none, some] = [await paramsAt(1e-12), await paramsAt(1e-4)];
    expect(Math.max(...none["head.bias"]!.data.map(Math.abs))).toBeLessThan(1e-10);
    // 12 updates of about the rate each.
    const moved = relativeError(some["head.weight"]!.data, none["head.weight"]!.data);
    expect(moved).toBeGreaterThan(2e-4);
    expect(moved).toBeLessThan(2e-3);
    expect(relativeError(some["prompt.embeddings"]!.data, none["prompt.embeddings"]!.data)).toBeLessThan(0.3);
  });

  test("is that of the prompt where nobody says, and resumes", async () => {
    const same = await run({ headLearningRate: 3e-2 });
    const plain = await run({});
    expect(ofType(same, "step").map(({ loss }) => loss)).toEqual(
      ofType(plain, "step").map(({ loss }) => loss),
    );
    expect(ofType(plain, "start")[0]!.settings.headLearningRate).toBe(3e-2);
    const whole = await run({ headLearningRate: 1e-3, epochs: 2 });
    expect(ofType(whole, "done")[0]!.adapter.provenance.training).toMatchObject({ headLearningRate: 1e-3 });
    const resume = ofType(whole, "checkpoint")[0]!.state;
    const resumed = await run({ headLearningRate: 1e-3, epochs: 2, resume });
    expect(ofType(resumed, "step").map(({ loss }) => loss)).toEqual(
      ofType(whole, "step")
        .slice(resume.step)
        .map(({ loss }) => loss),
    );
    await expect(run({ headLearningRate: 2e-3, epochs: 2, resume })).rejects.toMatchObject({
      code: "RUN_INVALID",
    });
    await expect(run({ headLearningRate: 0 })).rejects.toThrow(
      "headLearningRate: expected a number above 0, got 0.",
    );
  });
});
