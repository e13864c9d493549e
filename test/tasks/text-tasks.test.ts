/** What tasks on texts and alternatives decide by themselves: thresholds, units, groups, and what they refuse. */
import type { ChoiceExample, TextExample } from "ptuning/data";
import { SequenceCollector, type Tokenizer } from "ptuning/internal/text";
import {
  answerSelection,
  candidateRanking,
  type Encoded,
  type Evaluation,
  familyOf,
  multiLabelClassification,
  multipleChoice,
  sequenceClassification,
  type Task,
  taskFrom,
  textRegression,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";

/** One token per text: these tests bring their own logits. */
const tokenizer = {
  async encode(texts: readonly unknown[]) {
    const collected = new SequenceCollector();
    for (const _ of texts) collected.add([1], [0], false);
    return collected.finish();
  },
} as Pick<Tokenizer, "encode"> as Tokenizer;

async function encoded<E, N extends Encoded, P>(task: Task<E, N, P>, examples: readonly E[]) {
  const all = await task.encode(examples, tokenizer, 8);
  const rows = Int32Array.from({ length: all.sequences.count }, (_, row) => row);
  const pass = { rows, length: 1 };
  return {
    all,
    pass,
    evaluate(logits: readonly number[]): Evaluation {
      const evaluator = task.evaluator(all);
      evaluator.add({ ...pass, logits });
      return evaluator.result();
    },
    predict(logits: readonly number[]): P[] {
      const decoder = task.decoder(all);
      decoder.add({ ...pass, logits });
      return decoder.finish();
    },
  };
}

const logit = (probability: number): number => Math.log(probability / (1 - probability));

describe("multi-label", () => {
  const examples: TextExample[] = [
    { labels: ["a"] },
    { labels: ["a", "b"] },
    { labels: [] },
    { labels: ["b"] },
  ].map((gold) => ({ text: "", ...gold }));
  const logits = [0.3, 0.1, 0.4, 0.35, 0.05, 0.1, 0.2, 0.3].map(logit);

  test("tunes its threshold on dev, holds it, and no test set moves it", async () => {
    const task = multiLabelClassification({ labels: ["a", "b"] });
    const { scores, tuned } = (await encoded(task, examples)).evaluate(logits);
    expect(scores.microF1).toBe(1);
    expect(tuned!.threshold).toBeCloseTo(0.25, 12);
    const fixed = task.tune!(tuned!);
    expect(fixed.options.threshold).toBeCloseTo(0.25, 12);
    const other = await encoded(fixed, examples);
    expect(other.evaluate(logits.map((z) => z - 1))).toMatchObject({ scores: { microF1: 0 } });
    expect(other.evaluate(logits)).not.toHaveProperty("tuned");
    expect(other.predict(logits).map(({ labels }) => labels)).toEqual(examples.map(({ labels }) => labels));
  });

  test("takes 0.5 where there is nothing to tune on", async () => {
    const task = multiLabelClassification({ labels: ["a", "b"] }).tune!({});
    expect(task.options.threshold).toBe(0.5);
    expect((await encoded(task, examples)).evaluate(logits).scores.microF1).toBe(0);
  });

  test("notices that it says the same of every text", async () => {
    const task = multiLabelClassification({ labels: ["a", "b"], threshold: 0.5 });
    const { evaluate } = await encoded(task, examples);
    expect(evaluate(Array(8).fill(-1)).collapsed).toBe(true);
    expect(evaluate([1, ...Array(7).fill(-1)]).collapsed).toBe(false);
  });

  test.each([-0.1, 1.1, Number.NaN])("refuses %s as a threshold", (threshold) => {
    expect(() => multiLabelClassification({ labels: ["a", "b"], threshold })).toThrow(/threshold: expected/);
  });
});

describe("regression", () => {
  const family = familyOf("regression");
  const data = (scores: readonly number[]) => ({
    train: scores.map((score) => ({ text: "", score })),
    ...{ dev: [], test: [], labels: [], fingerprint: "", warnings: [] },
  });

  test("learns in standard deviations and answers in the data's units", async () => {
    const options = family.resolve({}, data([10, 20, 30, 40]));
    expect(options).toEqual({ center: 25, scale: Math.sqrt(125) });
    const task = textRegression(options);
    const { all, pass, predict, evaluate } = await encoded(task, data([25, 36.180339887498945]).train);
    expect(Array.from(task.targets(all, pass).targets!.data, Number)).toEqual([0, expect.closeTo(1, 6)]);
    expect(predict([0, 1]).map(({ score }) => score)).toEqual([25, expect.closeTo(36.18, 2)]);
    expect(evaluate([0, 0]).scores.mse).toBeCloseTo(125 / 2, 6);
    expect(evaluate([0, 0]).loss).toBeCloseTo(1 / 2, 6);
    expect(task.lowerIsBetter).toContain("mse");
  });

  test("takes settings before the data's own, and refuses scores that are all the same", () => {
    expect(family.resolve({ scale: 5 }, data([1, 2, 3]))).toEqual({ center: 2, scale: 5 });
    expect(() => family.resolve({}, data([3, 3]))).toThrow(
      "expected numbers that differ to learn, got 3 in all 2 training examples.",
    );
    const given = { center: 3, scale: 1 };
    expect(family.resolve(given, data([3, 3]))).toEqual(given);
    expect(() => textRegression({ scale: 0 })).toThrow(/center and scale: expected/);
  });
});

describe("multiple choice", () => {
  const task = multipleChoice();
  const examples: ChoiceExample[] = [
    { text: "", choices: ["x", "y", "z"], label: 2 },
    { text: "", choices: ["x", "y"], label: 0 },
    { text: "", choices: ["x", "y"] },
  ];

  test("compares the alternatives of each example among themselves", async () => {
    const { all, pass, predict, evaluate } = await encoded(task, examples);
    const logits = [0, 1, 2, 5, 6, 9, 8];
    expect(predict(logits).map(({ choice, text }) => [choice, text])).toEqual([
      [2, "z"],
      [1, "y"],
      [0, "x"],
    ]);
    expect(evaluate(logits).scores.accuracy).toBe(0.5);
    for (const { probabilities } of predict(logits)) {
      expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    }
    expect(task.weight(all, pass.rows)).toBe(2);
    expect(task.targets(all, pass).targets!.shape).toEqual([3, 3]);
  });

  test.each([
    [{ text: "", choices: ["x"], line: 7 }, /^line 7: choices: expected at least two alternatives, got 1/],
    [
      { text: "", choices: ["x", "y"], label: 2 },
      /label: expected the number of an alternative, 0 to 1, got 2/,
    ],
    [{ text: "", choices: ["x", "y"], label: 0.5 }, /label: expected/],
  ])("refuses %j", async (example, message) => {
    await expect(task.encode([example], tokenizer, 8)).rejects.toThrow(message);
  });
});

describe("candidates", () => {
  const labels = ["false", "true"];
  const rows: TextExample[] = [
    { group: "q1", candidate: "the cat", label: "true", answers: ["cat"] },
    { group: "q2", candidate: "a dog", label: "false", answers: ["fox"] },
    { group: "q1", candidate: "cow", label: "false", answers: ["cat"] },
    { group: "q2", candidate: "fox", label: "true", answers: ["fox"] },
  ].map((row) => ({ text: "", ...row }));

  test("ranking takes the best of each question, whatever its label", async () => {
    const { predict, evaluate } = await encoded(candidateRanking({ labels }), rows);
    const logits = [5, -1, 5, -2, 5, -3, 5, -9];
    expect(predict(logits).map(({ chosen }) => chosen)).toEqual([true, true, false, false]);
    expect(evaluate(logits).scores).toEqual({ f1: 0.5, exactMatch: 0.5 });
    const ties = predict([0, 0, 0, 0, 0, 0, 0, 0]).map(({ candidate, chosen }) => chosen && candidate);
    expect(ties).toEqual([false, "a dog", "cow", false]);
  });

  test("selection scores candidates and whole questions", async () => {
    const { evaluate } = await encoded(answerSelection({ labels }), rows);
    const { scores } = evaluate([0, 1, 1, 0, 0, 1, 0, 1]);
    expect(scores).toMatchObject({ exactMatch: 0.5, accuracy: 0.75, f1a: expect.closeTo(0.8, 12) });
    expect(
      (await encoded(answerSelection({ labels, positive: "false" }), rows)).evaluate([0, 1, 1, 0, 0, 1, 0, 1])
        .scores.f1a,
    ).toBeCloseTo(2 / 3, 12);
  });

  test("need two labels, a question, and for ranking a text", async () => {
    expect(() => answerSelection({ labels: ["a", "b", "c"] })).toThrow(
      /answer-selection: expected two labels/,
    );
    expect(() => answerSelection({ labels, positive: "yes" })).toThrow(
      /one of them as positive, got false, true and yes/,
    );
    const alone = await encoded(candidateRanking({ labels }), [{ text: "", label: "true" }]);
    expect(() => alone.evaluate([0, 0])).toThrow(/expected a candidate/);
    const loose = await encoded(answerSelection({ labels }), [{ text: "", label: "true", line: 3 }]);
    expect(() => loose.evaluate([0, 0])).toThrow(/line 3: expected a group/);
  });
});

test("texts out of scope are scored apart", async () => {
  const task = sequenceClassification({ labels: ["a", "b", "oos"], outOfScope: "oos" });
  const examples = ["a", "b", "oos", "oos"].map((label) => ({ text: "", label }));
  const { scores } = (await encoded(task, examples)).evaluate([1, 0, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0]);
  expect(scores).toMatchObject({ accuracy: 0.5, inScopeAccuracy: 0.5, outOfScopeRecall: 0.5 });
  expect(() => sequenceClassification({ labels: ["a", "b"], outOfScope: "c" })).toThrow(
    /outOfScope: expected/,
  );
});

test("an unknown task is refused with the nearest that there is", () => {
  expect(() => taskFrom("multilabel", {})).toThrow(/task: expected one of .*, got "multilabel"/);
  expect(() => taskFrom("multi-labels", {})).toThrow(
    expect.objectContaining({ hint: 'Did you mean "multi-label"?' }),
  );
});
