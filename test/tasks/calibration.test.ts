/** Temperatures and calibration errors: as scipy and numpy have them, and where there is nothing to learn one from. */
import type { ChoiceExample, TextExample } from "ptuning/data";
import { SequenceCollector, type Tokenizer } from "ptuning/internal/text";
import {
  answerSelection,
  candidateRanking,
  type Encoded,
  type Evaluation,
  multiLabelClassification,
  multipleChoice,
  type Review,
  sequenceClassification,
  type Task,
  taskFamilies,
  taskFrom,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";

interface Golden {
  readonly classes: readonly {
    /** Null stands for −∞. */
    readonly logits: readonly (readonly (number | null)[])[];
    readonly gold: readonly number[];
    readonly temperature: number;
    readonly logLoss: number;
    readonly ece: number;
    readonly eceBefore: number;
    /** The smallest thresholds that reach a precision, by trying every one. */
    readonly abstain: readonly {
      readonly precision: number;
      readonly coverage: number;
      readonly answeredPrecision: number;
    }[];
  }[];
  readonly labels: readonly {
    readonly logits: readonly (readonly number[])[];
    readonly gold: readonly (readonly number[])[];
    readonly temperature: number;
    readonly ece: number;
    readonly eceBefore: number;
  }[];
}
const golden = readGolden<Golden>("calibration.json");

/** One token per text: these tests bring their own logits. */
const tokenizer = {
  async encode(texts: readonly unknown[]) {
    const collected = new SequenceCollector();
    for (const _ of texts) collected.add([1], [0], false);
    return collected.finish();
  },
} as Pick<Tokenizer, "encode"> as Tokenizer;

/** What a task makes of logits, given in passes of seven from the last row to the first. */
async function answered<P, N extends Encoded>(
  task: Task<TextExample, N, P>,
  examples: readonly TextExample[],
  logits: readonly (readonly number[])[],
): Promise<{ evaluation: Evaluation; predictions: P[]; review: Review }> {
  const all = await task.encode(examples, tokenizer, 8);
  const [evaluator, decoder, reviewer] = [task.evaluator(all), task.decoder(all), task.reviewer!(all)];
  for (let start = 0; start < examples.length; start += 7) {
    const rows = Int32Array.from(examples.slice(start, start + 7), (_, i) => start + i).reverse();
    const pass = { rows, length: 1, logits: [...rows].flatMap((row) => logits[row]!) };
    for (const gatherer of [evaluator, decoder, reviewer]) gatherer.add(pass);
  }
  return { evaluation: evaluator.result(), predictions: decoder.finish(), review: reviewer.finish() };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `c${i}`);
const single = (gold: readonly number[]): TextExample[] =>
  gold.map((label) => ({ text: "", label: `c${label}` }));
const plain = (logits: Golden["classes"][number]["logits"]): number[][] =>
  logits.map((row) => row.map((value) => value ?? Number.NEGATIVE_INFINITY));
/** Evaluates one-label logits with a temperature that is to be found. */
const evaluated = async (
  logits: readonly (readonly number[])[],
  gold: readonly number[],
): Promise<Evaluation> =>
  (await answered(sequenceClassification({ labels: names(logits[0]!.length) }), single(gold), logits))
    .evaluation;

describe("one label per text", () => {
  test.each(golden.classes.map((one, number) => ({ ...one, number })))(
    "case $number: the temperature with the least log loss, found by scipy, and numpy's calibration error",
    async ({ logits, gold, temperature, logLoss, ece, eceBefore }) => {
      const task = sequenceClassification({ labels: names(logits[0]!.length) });
      const rows = plain(logits);
      const open = await answered(task, single(gold), rows);
      expect(Number(open.evaluation.tuned!.temperature) / temperature).toBeCloseTo(1, 5);
      expect(open.evaluation.scores.ece).toBeCloseTo(ece, 5);
      const fixed = task.tune!(open.evaluation.tuned!);
      const { evaluation, predictions, review } = await answered(fixed, single(gold), rows);
      expect(evaluation).not.toHaveProperty("tuned");
      expect(evaluation.scores.ece).toBeCloseTo(ece, 5);
      const loss = predictions.map(({ probabilities }, i) => -Math.log(probabilities[`c${gold[i]!}`]!));
      expect(loss.reduce((a, b) => a + b) / gold.length).toBeCloseTo(logLoss, 8);
      // Answers are those of the logits; their probabilities still add up to 1.
      const before = await answered(
        sequenceClassification({ labels: task.options.labels as string[], temperature: 1 }),
        single(gold),
        rows,
      );
      expect(predictions.map(({ label }) => label)).toEqual(before.predictions.map(({ label }) => label));
      for (const { probabilities } of predictions) {
        expect(Object.values(probabilities).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
      }
      expect(before.evaluation.scores.ece).toBeCloseTo(eceBefore, 10);
      expect(before.evaluation.loss).toBe(evaluation.loss);
      // The report has both.
      const [{ curves }] = review.reliability as [NonNullable<Review["reliability"]>[number]];
      expect(curves.map((curve) => curve.temperature)).toEqual([1, fixed.options.temperature]);
      expect(curves[0]!.ece).toBeCloseTo(eceBefore, 10);
      expect(curves[1]!.ece).toBeCloseTo(ece, 5);
      for (const { bins } of curves) {
        expect(bins).toHaveLength(15);
        expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(gold.length);
      }
    },
  );

  test("where every answer is right the temperature stays above its least", async () => {
    const gold = Array.from({ length: 60 }, (_, i) => i % 3);
    const sure = (margin: number) => gold.map((g) => [0, 1, 2].map((c) => (c === g ? margin : 0)));
    for (const margin of [1e-3, 0.5, 3, 40]) {
      const { tuned, scores } = await evaluated(sure(margin), gold);
      const temperature = Number(tuned!.temperature);
      expect(temperature).toBeGreaterThanOrEqual(0.01);
      expect(temperature).toBeLessThanOrEqual(100);
      if (margin >= 0.5) {
        // As sure as if one of 62 had been wrong.
        const others = Math.exp(-margin / temperature);
        expect(1 / (1 + 2 * others)).toBeCloseTo(61 / 62, 6);
        expect(scores.ece).toBeCloseTo(1 / 62, 6);
      }
    }
  });

  test("where most answers are wrong it stays below its greatest, where all logits are equal it is 1", async () => {
    const gold = Array.from({ length: 60 }, (_, i) => i % 2);
    const { tuned } = await evaluated(
      gold.map((g) => [g, 1 - g].map((z) => 5 * z)),
      gold,
    );
    expect(tuned).toEqual({ temperature: 100 });
    for (const value of [0, 0.1, 1e6, -3]) {
      const constant = gold.map(() => [value, value]);
      expect((await evaluated(constant, gold)).tuned).toEqual({ temperature: 1 });
    }
  });

  test("fewer than 50 examples tell none: it is 1, and the report says so", async () => {
    const rows = plain(golden.classes[0]!.logits);
    const { gold } = golden.classes[0]!;
    const task = sequenceClassification({ labels: names(3) });
    const few = await answered(task, single(gold.slice(0, 49)), rows.slice(0, 49));
    expect(few.evaluation.tuned).toEqual({});
    const fixed = task.tune!(few.evaluation.tuned!);
    expect(fixed.options.temperature).toBe(1);
    const { review } = await answered(fixed, single(gold.slice(0, 49)), rows.slice(0, 49));
    expect(review.reliability![0]!.note).toMatch(/Fewer than 50 examples tell no temperature/);
    const enough = await answered(task, single(gold.slice(0, 50)), rows.slice(0, 50));
    expect(enough.evaluation.tuned).toHaveProperty("temperature");
    expect((await answered(task, [], [])).evaluation).toMatchObject({ scores: { ece: 0 }, tuned: {} });
  });

  test("logits that say nothing do not count: not a number, all −∞, the right class impossible", async () => {
    const { logits, gold, temperature } = golden.classes[0]!;
    const odd = [
      [Number.NaN, 0, 1],
      [0, Number.NaN, 1],
      [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, 1, 2],
      [Number.POSITIVE_INFINITY, 1, 2],
    ];
    const { tuned, scores } = await evaluated([...plain(logits), ...odd], [...gold, 0, 0, 0, 0, 1]);
    expect(Number(tuned!.temperature) / temperature).toBeCloseTo(1, 5);
    for (const value of Object.values(scores)) expect(Number.isFinite(value)).toBe(true);
    const { tuned: none } = await evaluated(Array(80).fill(odd[0]), Array(80).fill(0));
    expect(none).toEqual({});
  });

  test("logits so far apart that probabilities are 0 and 1 have a temperature within its range", async () => {
    const gold = Array.from({ length: 60 }, (_, i) => i % 2);
    const far = gold.map((g, i) => (i % 10 === 0 ? [g, 1 - g] : [1 - g, g]).map((z) => 1e4 * z));
    expect((await evaluated(far, gold)).tuned).toEqual({ temperature: 100 });
  });

  test("a dev set with one class of several has a temperature as well", async () => {
    const { logits } = golden.classes[0]!;
    const { tuned } = await evaluated(plain(logits), Array(60).fill(1));
    expect(Number(tuned!.temperature)).toBeGreaterThanOrEqual(0.01);
    expect(Number(tuned!.temperature)).toBeLessThanOrEqual(100);
  });
});

describe("any number of labels", () => {
  const examples = (gold: readonly (readonly number[])[]): TextExample[] =>
    gold.map((row) => ({ text: "", labels: names(row.length).filter((_, i) => row[i] === 1) }));

  test.each(golden.labels.map((one, number) => ({ ...one, number })))(
    "case $number: one temperature for all labels, found by scipy; the threshold is on the probabilities that are given",
    async ({ logits, gold, temperature, ece, eceBefore }) => {
      const task = multiLabelClassification({ labels: names(gold[0]!.length) });
      const { tuned } = (await answered(task, examples(gold), logits)).evaluation;
      expect(Number(tuned!.temperature) / temperature).toBeCloseTo(1, 5);
      const fixed = await answered(task.tune!(tuned!), examples(gold), logits);
      expect(fixed.evaluation.scores.ece).toBeCloseTo(ece, 5);
      for (const { labels, probabilities } of fixed.predictions) {
        const above = names(gold[0]!.length).filter(
          (name) => probabilities[name]! >= Number(tuned!.threshold),
        );
        expect(labels).toEqual(above);
      }
      // The best labels are the best ones whatever the temperature.
      const before = multiLabelClassification({ labels: names(gold[0]!.length), temperature: 1 });
      const untempered = (await answered(before, examples(gold), logits)).evaluation;
      expect(untempered.scores.ece).toBeCloseTo(eceBefore, 10);
      expect(untempered.tuned).not.toHaveProperty("temperature");
      expect(untempered.scores.microF1).toBeCloseTo(fixed.evaluation.scores.microF1!, 12);
    },
  );

  test("a fixed threshold stays", () => {
    const task = multiLabelClassification({ labels: ["a", "b"], threshold: 0.3 });
    expect(task.tune!({ temperature: 2, threshold: 0.7 }).options).toMatchObject({
      threshold: 0.3,
      temperature: 2,
    });
  });
});

describe("answers that are left open", () => {
  const cases = golden.classes.flatMap((one, number) =>
    one.abstain.map((expected) => ({ ...one, ...expected, number })),
  );

  test.each(cases)(
    "case $number: the smallest threshold for a precision of $precision, as by trying every one",
    async ({ logits, gold, precision, coverage, answeredPrecision }) => {
      const task = sequenceClassification({ labels: names(logits[0]!.length), abstain: { precision } });
      const { evaluation } = await answered(task, single(gold), plain(logits));
      expect(evaluation).not.toHaveProperty("remarks");
      expect(evaluation.scores.coverage).toBeCloseTo(coverage, 12);
      expect(evaluation.scores.answeredPrecision).toBeCloseTo(answeredPrecision, 12);
      const fixed = task.tune!(evaluation.tuned!);
      expect(fixed.options.abstain).toEqual({ precision, threshold: expect.any(Number) });
      const { threshold } = fixed.options.abstain as { threshold: number };
      const again = await answered(fixed, single(gold), plain(logits));
      expect(again.evaluation.scores).toEqual(evaluation.scores);
      for (const { label, score, abstained, guess, probabilities } of again.predictions) {
        expect(abstained).toBe(score < threshold);
        expect(label).toBe(abstained ? null : guess);
        expect(probabilities[guess!]).toBe(score);
      }
      const given = again.predictions.filter(({ abstained }) => !abstained);
      expect(given.length / gold.length).toBeCloseTo(coverage, 12);
      // Accuracy is still that of the best guess of every text.
      const always = await evaluated(plain(logits), gold);
      expect(evaluation.scores.accuracy).toBe(always.scores.accuracy);
    },
  );

  test("where no threshold reaches the precision the best is taken, and that is said", async () => {
    const gold = Array.from({ length: 60 }, (_, i) => i % 2);
    // The surest ten are wrong, the next thirty right, the rest right by half.
    const margin = (i: number) => (i < 10 ? 9 : i < 40 ? 5 : 1);
    const isRight = (i: number) => i >= 10 && (i < 40 || i % 4 < 2);
    const logits = gold.map((g, i) => {
      const predicted = isRight(i) ? g : 1 - g;
      return [0, 1].map((c) => (c === predicted ? margin(i) : 0));
    });
    const task = sequenceClassification({ labels: names(2), abstain: { precision: 0.9 } });
    const { evaluation } = await answered(task, single(gold), logits);
    expect(evaluation.scores.answeredPrecision).toBeCloseTo(30 / 40, 12);
    expect(evaluation.scores.coverage).toBeCloseTo(40 / 60, 12);
    expect(evaluation.remarks).toEqual([
      "abstain: no threshold reaches a precision of 0.9 on dev. The best is 0.7500, with 40 of 60 answers given: that threshold is taken.",
    ]);
  });

  test("without held-out examples every text is answered, and that is said", async () => {
    const task = sequenceClassification({
      labels: names(2),
      abstain: { precision: 0.9 },
      temperature: "tuned",
    });
    const { evaluation } = await answered(task, [], []);
    expect(evaluation.scores).toMatchObject({ coverage: 0, answeredPrecision: 0 });
    expect(evaluation.remarks).toEqual([
      "temperature: expected at least 50 labelled dev examples to find one, got 0: it is 1.",
      "abstain: expected held-out answers to find a threshold for a precision of 0.9, got none: every text is answered.",
    ]);
    const fixed = task.tune!(evaluation.tuned!);
    expect(fixed.options.abstain).toEqual({ precision: 0.9, threshold: 0 });
    const { predictions } = await answered(fixed, single([0]), [[Number.NaN, 0]]);
    expect(predictions[0]).toMatchObject({ label: "c0", abstained: false });
  });

  test("a threshold that is given is not looked for; equal probabilities are answered together", async () => {
    const abstain = { threshold: 0.75 };
    const task = sequenceClassification({ labels: names(2), abstain, temperature: 1 });
    const logits = [0.7, 0.75, 0.8, 0.6].map((p) => [Math.log(p), Math.log(1 - p)]);
    const { evaluation, predictions } = await answered(task, single([0, 0, 1, 1]), logits);
    expect(evaluation).not.toHaveProperty("tuned");
    expect(predictions.map(({ label }) => label)).toEqual([null, "c0", "c0", null]);
    expect(evaluation.scores).toMatchObject({ coverage: 0.5, answeredPrecision: 0.5, accuracy: 0.5 });
    expect(task.tune!({}).options).toMatchObject({ abstain });
    const wanted = sequenceClassification({ labels: names(2), abstain: { precision: 0.7 }, temperature: 1 });
    const tied = [
      [1, 0],
      [1, 0],
      [1, 0],
      [1, 0],
    ];
    const all = (await answered(wanted, single([0, 0, 1, 0]), tied)).evaluation;
    expect(all.scores).toMatchObject({ coverage: 1, answeredPrecision: 0.75 });
    expect(all.tuned).toEqual({ abstain: { precision: 0.7, threshold: 0 } });
  });

  test("probabilities that are not numbers are never answered", async () => {
    const task = sequenceClassification({ labels: names(2), abstain: { threshold: 0.5 }, temperature: 1 });
    const { predictions, evaluation } = await answered(task, single([0, 1]), [
      [Number.NaN, 1],
      [Number.NEGATIVE_INFINITY, 1],
    ]);
    expect(predictions.map(({ label, abstained }) => [label, abstained])).toEqual([
      [null, true],
      ["c1", false],
    ]);
    expect(evaluation.scores).toMatchObject({ coverage: 0.5, answeredPrecision: 1 });
  });

  test("a text that is left open is out of scope, where there is such a label", async () => {
    const options = { labels: ["c0", "c1", "oos"], outOfScope: "oos", temperature: 1 } as const;
    const examples: TextExample[] = ["c0", "c1", "oos", "oos", "c0"].map((label) => ({ text: "", label }));
    const logits = [
      [4, 0, 0],
      [0, 4, 0],
      [0, 1, 0],
      [0, 0, 4],
      [0, 2, 0],
    ];
    const plainly = (await answered(sequenceClassification(options), examples, logits)).evaluation;
    expect(plainly.scores).toMatchObject({ outOfScopeRecall: 0.5, inScopeAccuracy: 2 / 3 });
    const task = sequenceClassification({ ...options, abstain: { precision: 1 } });
    const { evaluation } = await answered(task, examples, logits);
    expect(evaluation.scores).toMatchObject({
      ...{ outOfScopeRecall: 1, inScopeAccuracy: 2 / 3, accuracy: 4 / 5 },
      ...{ coverage: 2 / 5, answeredPrecision: 1 },
    });
    const { predictions, review } = await answered(task.tune!(evaluation.tuned!), examples, logits);
    expect(predictions.map(({ label, abstained, guess }) => [label, abstained, guess])).toEqual([
      ["c0", false, "c0"],
      ["c1", false, "c1"],
      ["oos", true, "c1"],
      ["oos", false, "oos"],
      ["oos", true, "c1"],
    ]);
    expect(review.matrices[0]!.counts[2]).toEqual([0, 0, 2]);
    expect(review.examples.filter(({ gold, predicted }) => gold === predicted)).toHaveLength(4);
  });

  test("tables leave the label empty and show the best guess beside it; without abstain they are as ever", async () => {
    const task = sequenceClassification({ labels: names(2), abstain: { threshold: 0.9 }, temperature: 1 });
    const { predictions } = await answered(task, single([0]), [[1, 0]]);
    const score = 1 / (1 + Math.exp(-1));
    expect(predictions[0]).toEqual({
      label: null,
      score,
      abstained: true,
      guess: "c0",
      probabilities: { c0: score, c1: expect.closeTo(1 - score, 12) },
    });
    expect(task.columns(false).map(({ title }) => title)).toEqual(["label", "score", "guess", "text"]);
    expect(task.tabulate({ text: "a text" }, predictions[0]!, false)).toEqual([
      { label: "", score, guess: "c0", text: "a text" },
    ]);
    const always = sequenceClassification({ labels: names(2) });
    expect(always.columns(false).map(({ title }) => title)).toEqual(["label", "score", "text"]);
    expect(Object.keys((await answered(always, single([0]), [[1, 0]])).predictions[0]!)).toEqual([
      ...["label", "score", "probabilities"],
    ]);
    expect(always.scores).not.toContain("coverage");
  });

  test.each([{}, { precision: 0 }, { precision: 1.1 }, { threshold: -0.1 }, { threshold: Number.NaN }])(
    "refuses %j",
    (abstain) => {
      expect(() => sequenceClassification({ labels: ["a", "b"], abstain })).toThrow(
        "abstain: expected a precision or a threshold from 0 to 1, got {",
      );
      const options = { labels: ["a", "b"], abstain };
      expect(() => taskFrom("text-classification", options)).toThrow(
        /task\.options\.abstain[a-z.]*: expected/,
      );
    },
  );
});

test("candidates have a temperature, which changes no choice", async () => {
  const { logits, gold } = golden.classes[2]!;
  const examples = gold.map(
    (label, i): TextExample => ({
      ...{
        text: "",
        label: `c${label}`,
        group: `q${Math.floor(i / 4)}`,
        candidate: `w${i}`,
        answers: ["w1"],
      },
    }),
  );
  for (const make of [answerSelection, candidateRanking]) {
    const task = make({ labels: names(2) }) as Task<
      TextExample,
      Encoded,
      { chosen?: boolean; label: string }
    >;
    const rows = plain(logits);
    const { evaluation, predictions } = await answered(task, examples, rows);
    expect(Number(evaluation.tuned!.temperature) / golden.classes[2]!.temperature).toBeCloseTo(1, 5);
    const fixed = await answered(task.tune!(evaluation.tuned!), examples, rows);
    expect(fixed.predictions.map(({ label, chosen }) => [label, chosen])).toEqual(
      predictions.map(({ label, chosen }) => [label, chosen]),
    );
    expect(fixed.evaluation.scores).toEqual(evaluation.scores);
  }
});

test("alternatives of each example have a temperature, as classes have", async () => {
  const { logits, gold, temperature, ece, eceBefore } = golden.classes[3]!;
  const examples = gold.map((label): ChoiceExample => ({ text: "", choices: names(12), label }));
  // One more without an answer, and one of two alternatives whose logits say nothing.
  examples.push({ text: "", choices: names(3) }, { text: "", choices: names(2), label: 1 });
  const flat = [...plain(logits).flat(), 1, 2, 3, Number.NaN, 0];
  const run = async (task: ReturnType<typeof multipleChoice>) => {
    const all = await task.encode(examples, tokenizer, 8);
    const rows = Int32Array.from({ length: all.sequences.count }, (_, row) => row);
    const [evaluator, decoder, reviewer] = [task.evaluator(all), task.decoder(all), task.reviewer!(all)];
    for (const gatherer of [evaluator, decoder, reviewer]) gatherer.add({ rows, length: 1, logits: flat });
    return { evaluation: evaluator.result(), predictions: decoder.finish(), review: reviewer.finish() };
  };
  const open = await run(multipleChoice());
  expect(Number(open.evaluation.tuned!.temperature) / temperature).toBeCloseTo(1, 5);
  expect(open.evaluation.scores.ece).toBeCloseTo(ece, 5);
  const fixed = await run(
    multipleChoice().tune!(open.evaluation.tuned!) as ReturnType<typeof multipleChoice>,
  );
  expect(fixed.evaluation.scores).toEqual(open.evaluation.scores);
  expect(fixed.evaluation.loss).toBe(open.evaluation.loss);
  expect(fixed.evaluation).not.toHaveProperty("tuned");
  expect(fixed.predictions.map(({ choice }) => choice)).toEqual(open.predictions.map(({ choice }) => choice));
  expect(fixed.predictions[0]!.score).not.toBe(open.predictions[0]!.score);
  expect(fixed.review.reliability![0]!.curves.map((curve) => curve.ece)).toEqual([
    expect.closeTo(eceBefore, 10),
    expect.closeTo(ece, 5),
  ]);
  expect(fixed.review.examples).toHaveLength(gold.length + 1);
});

test.each([0, -1, 0.001, 101, Number.NaN, Number.POSITIVE_INFINITY])(
  "refuses %s as a temperature",
  (temperature) => {
    for (const make of [sequenceClassification, multiLabelClassification]) {
      expect(() => make({ labels: ["a", "b"], temperature })).toThrow(
        'temperature: expected "tuned" or 0.01 to 100, got',
      );
    }
    const options = { labels: ["a", "b"], temperature };
    expect(() => taskFrom("text-classification", options)).toThrow(/task\.options\.temperature: expected/);
  },
);

test("the settings of another implementation have no temperature, unless one is asked for", async () => {
  const { logits, gold } = golden.classes[0]!;
  const options = { labels: names(3), preset: "peft" } as const;
  const task = sequenceClassification(options);
  expect(task.options).not.toHaveProperty("temperature");
  const { evaluation } = await answered(task, single(gold), plain(logits));
  expect(evaluation).not.toHaveProperty("tuned");
  expect(task.tune!({ temperature: 3 }).options.temperature).toBe(1);
  const asked = sequenceClassification({ ...options, temperature: "tuned" });
  expect((await answered(asked, single(gold), plain(logits))).evaluation.tuned).toHaveProperty("temperature");
  const multi = multiLabelClassification({ labels: names(3), preset: "thudm" });
  expect(multi.tune!({ temperature: 3 }).options.temperature).toBe(1);
});

test("a temperature that was given is kept, whatever dev says, and read back", () => {
  for (const { create, sample, type } of taskFamilies.filter(
    ({ settings }) => "temperature" in settings.shape,
  )) {
    const task = create({ ...sample, temperature: 1.5 });
    const tuned = task.tune!({ temperature: 3 });
    expect(tuned.options.temperature).toBe(1.5);
    expect(taskFrom(type, JSON.parse(JSON.stringify(tuned.options))).options).toEqual(tuned.options);
    expect(create(sample).tune!({ temperature: 3 }).options.temperature).toBe(3);
    expect(create(sample).tune!({}).options.temperature).toBe(1);
  }
});
