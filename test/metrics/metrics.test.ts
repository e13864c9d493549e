/** What was decided where the reference implementations leave it open, warn or fail. */
import fc from "fast-check";
import { PtuningError } from "ptuning/internal/core";
import {
  AnswerMetrics,
  answerScore,
  ClassificationMetrics,
  MultiLabelMetrics,
  RecordMetrics,
  RegressionMetrics,
  SpanMetrics,
  ThresholdTuner,
} from "ptuning/internal/metrics";
import { describe, expect, test } from "vitest";

describe("ClassificationMetrics", () => {
  test("gives accuracy and macro-F1 unless asked otherwise, in the order asked for", () => {
    expect(new ClassificationMetrics(2).result()).toEqual({ accuracy: 0, macroF1: 0 });
    const metrics = new ClassificationMetrics(2, { scores: ["matthews", "f1"] });
    expect(Object.keys(metrics.result())).toEqual(["matthews", "f1"]);
  });

  test("counts the labels that were predicted, and each pair of labels", () => {
    const metrics = new ClassificationMetrics(3);
    for (const [predicted, gold] of [
      [0, 0],
      [0, 1],
      [2, 1],
      [2, 1],
    ]) {
      metrics.add(predicted!, gold!);
    }
    expect(metrics.predictedLabels).toBe(2);
    expect(metrics.count(1, 2)).toBe(2);
  });

  test("refuses labels out of range, and out-of-scope scores without the label", () => {
    const metrics = new ClassificationMetrics(2);
    expect(() => metrics.add(2, 0)).toThrow(PtuningError);
    expect(() => metrics.add(0, -1)).toThrow(/labels: expected numbers from 0 to 1, got 0 for -1/);
    expect(() => new ClassificationMetrics(2, { scores: ["outOfScopeRecall"] })).toThrow(
      /outOfScopeRecall: expected an outOfScopeLabel/,
    );
  });

  test("answers in time linear in the number of labels", () => {
    const labels = 2000;
    const metrics = new ClassificationMetrics(labels);
    for (let i = 0; i < labels; i++) metrics.add(i, (i * 7) % labels);
    const start = performance.now();
    for (let i = 0; i < 100; i++) metrics.result();
    expect(metrics.predictedLabels).toBe(labels);
    // Passing through the whole matrix takes ten times as long.
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

test("multi-label: a probability of just the threshold counts as predicted", () => {
  const metrics = new MultiLabelMetrics(2, 0.25);
  metrics.add(Float32Array.of(0.25, 0.24), Float32Array.of(1, 0));
  expect(metrics.result().subsetAccuracy).toBe(1);
});

describe("ThresholdTuner", () => {
  test("takes the middle of the gap", () => {
    const tuner = new ThresholdTuner();
    tuner.add([0.9, 0.3], [1, 0]);
    tuner.add([0.2, 0.8], [0, 1]);
    expect(tuner.result()).toEqual({ threshold: 0.55, microF1: 1 });
  });

  test("chooses the one nearest to 0.5 of thresholds with the same score", () => {
    // One label taken and right, or all four with both right ones: micro-F1 is ⅔ either way.
    for (const [lowest, threshold] of [
      [0.2, 0.85],
      [0.6, 0.3],
    ] as const) {
      const tuner = new ThresholdTuner();
      tuner.add([0.9, 0.8, 0.7, lowest], [1, 0, 0, 1]);
      expect(tuner.result().threshold).toBeCloseTo(threshold, 12);
    }
  });

  test("separates neighbouring floating-point numbers", () => {
    const tuner = new ThresholdTuner();
    tuner.add([0.5 + 2 ** -53, 0.5], [1, 0]);
    expect(tuner.result()).toEqual({ threshold: 0.5 + 2 ** -53, microF1: 1 });
  });

  test("stays at 0.5 where there is nothing to find", () => {
    expect(new ThresholdTuner().result()).toEqual({ threshold: 0.5, microF1: 0 });
    const tuner = new ThresholdTuner();
    tuner.add([0.1, 0.9], [0, 0]);
    expect(tuner.result()).toEqual({ threshold: 0.5, microF1: 0 });
  });
});

describe("RegressionMetrics", () => {
  test("constant values correlate with nothing", () => {
    const metrics = new RegressionMetrics();
    for (const gold of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) metrics.add(0.1, gold);
    expect(metrics.result()).toMatchObject({ pearson: 0, spearman: 0 });
  });

  test("a constant added to all values changes nothing, however large", () => {
    const value = fc.integer({ min: 0, max: 1000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 3, maxLength: 40 }), (pairs) => {
        const [plain, shifted] = [new RegressionMetrics(), new RegressionMetrics()];
        for (const [predicted, gold] of pairs) {
          plain.add(predicted, gold);
          // Exact: sums of multiples of 2⁻³⁰ below 2²¹.
          shifted.add(2 ** 20 + predicted / 2 ** 30, gold);
        }
        expect(shifted.result().pearson).toBeCloseTo(plain.result().pearson!, 12);
      }),
    );
  });
});

describe("SpanMetrics", () => {
  test("schemes may differ between gold and predictions; words outside all spans need no tag of a type", () => {
    const metrics = new SpanMetrics();
    metrics.add(["B-PER", "L-PER", "O", "U-LOC"], ["B-PER", "I-PER", "O", "B-LOC"]);
    expect(metrics.result()).toEqual({ f1: 1, precision: 1, recall: 1, tagAccuracy: 0.5 });
  });

  test("types can be left out, with what was predicted of them", () => {
    const metrics = new SpanMetrics();
    metrics.add(["B-A0", "B-V", "O", "B-A1"], ["B-A0", "B-V", "B-A1", "I-A1"]);
    expect(metrics.report().micro).toEqual({ precision: 2 / 3, recall: 2 / 3, f1: 2 / 3, support: 3 });
    expect(metrics.report({ without: ["V"] }).micro).toEqual({
      precision: 0.5,
      recall: 0.5,
      f1: 0.5,
      support: 2,
    });
    expect(Object.keys(metrics.report({ without: ["V"] }).types)).toEqual(["A0", "A1"]);
  });

  test("refuses a sentence with too few tags", () => {
    expect(() => new SpanMetrics().add(["O"], ["O", "O"])).toThrow(
      /tags: expected one predicted tag per word, 2, got 1/,
    );
  });
});

describe("AnswerMetrics", () => {
  test("without no-answer scores there is no threshold to look for", () => {
    const metrics = new AnswerMetrics();
    metrics.add({ text: "the cat" }, ["Cat", "dog"]);
    expect(metrics.result()).toEqual({ exactMatch: 1, f1: 1 });
  });

  test("the best threshold is one that can be used, also with differences of logits", () => {
    const questions = [
      { text: "wrong", noAnswerScore: -5 },
      { text: "wrong too", noAnswerScore: -2 },
    ];
    const metrics = new AnswerMetrics();
    for (const question of questions) metrics.add(question, []);
    const { bestF1, bestF1Threshold } = metrics.result();
    expect([bestF1, bestF1Threshold]).toEqual([1, -6]);
    const again = new AnswerMetrics(bestF1Threshold);
    for (const question of questions) again.add(question, []);
    expect(again.result().f1).toBe(1);
  });

  test("a score of just the threshold keeps its answer", () => {
    const metrics = new AnswerMetrics(0.5);
    metrics.add({ text: "cat", noAnswerScore: 0.5 }, ["cat"]);
    metrics.add({ text: "cat", noAnswerScore: 0.6 }, ["cat"]);
    expect(metrics.result()).toMatchObject({
      exactMatch: 0.5,
      bestExactMatch: 1,
      bestExactMatchThreshold: 0.6,
    });
  });
});

test("no gold answer at all scores 0; a query's answer is its best candidate, of equal ones the first in order", () => {
  expect(answerScore("cat", [])).toEqual({ exactMatch: 0, f1: 0 });
  const metrics = new RecordMetrics();
  const gold = { query: "q", answers: ["ant"] };
  for (const text of ["bee", "ant", "cow"]) metrics.add({ text, score: 1 }, gold);
  metrics.add({ text: "dog", score: 0.5 }, gold);
  expect(metrics.result()).toEqual({ f1: 1, exactMatch: 1 });
});
