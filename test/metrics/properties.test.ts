/** What holds for every metric: order and merging make no difference, perfect predictions score 1, nothing scores 0. */
import fc from "fast-check";
import {
  AbstentionMetrics,
  AnswerMetrics,
  type AnswerPrediction,
  answerWords,
  CalibrationMetrics,
  type Candidate,
  ClassificationMetrics,
  type MetricAccumulator,
  MultiLabelMetrics,
  MultiRCMetrics,
  type OptionGold,
  type QueryGold,
  RecordMetrics,
  RegressionMetrics,
  SpanMetrics,
  ThresholdTuner,
} from "ptuning/internal/metrics";
import { describe, expect, test } from "vitest";

type Pair<P, G> = readonly [predicted: P, gold: G];

/** A kind of metric and how to draw what it is given. */
interface Kind<P, G> {
  readonly create: () => MetricAccumulator<P, G>;
  readonly pairs: fc.Arbitrary<readonly Pair<P, G>[]>;
  /** The prediction that says what is right; absent where there is none. */
  readonly perfect?: (gold: G) => P;
  /** Scores that are 1 when every prediction is right; all others do not exceed it. */
  readonly ones?: readonly string[];
}

function filled<P, G>({ create }: Kind<P, G>, pairs: readonly Pair<P, G>[]): MetricAccumulator<P, G> {
  const metrics = create();
  for (const [predicted, gold] of pairs) metrics.add(predicted, gold);
  return metrics;
}

function expectSame(actual: object, expected: object): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  const theirs = new Map<string, number>(Object.entries(expected));
  for (const [name, value] of Object.entries(actual)) expect(value, name).toBeCloseTo(theirs.get(name)!, 10);
}

function behaves<P, G>(name: string, kind: Kind<P, G>): void {
  describe(name, () => {
    test("gives the same in any order and in parts", () => {
      const shuffled = kind.pairs.chain((pairs) => {
        const all = fc.shuffledSubarray([...pairs], { minLength: pairs.length, maxLength: pairs.length });
        return fc.tuple(fc.constant(pairs), all, fc.nat(pairs.length));
      });
      fc.assert(
        fc.property(shuffled, ([pairs, order, cut]) => {
          const expected = filled(kind, pairs).result();
          const merged = filled(kind, order.slice(0, cut));
          const rest = filled(kind, order.slice(cut));
          const before = rest.result();
          merged.merge(rest);
          expectSame(merged.result(), expected);
          expect(rest.result()).toEqual(before);
          expect(merged.result()).toEqual(merged.result());
        }),
      );
    });

    test("gives finite numbers of nothing, and no more than 1 of anything", () => {
      expect(Object.values(kind.create().result()).every(Number.isFinite)).toBe(true);
      fc.assert(
        fc.property(kind.pairs, (pairs) => {
          for (const [score, value] of Object.entries(filled(kind, pairs).result())) {
            if (!/^m[sa]e$|Threshold$/.test(score)) expect(Math.abs(value), score).toBeLessThanOrEqual(1);
          }
        }),
      );
    });

    const { perfect, ones = [] } = kind;
    if (perfect === undefined) return;
    test("gives 1 where every prediction is right", () => {
      fc.assert(
        fc.property(kind.pairs, (pairs) => {
          fc.pre(pairs.length > 0);
          const scores = filled(
            kind,
            pairs.map(([, gold]) => [perfect(gold), gold] as const),
          ).result();
          expect(Object.fromEntries(ones.map((score) => [score, scores[score]]))).toEqual(
            Object.fromEntries(ones.map((score) => [score, 1])),
          );
        }),
      );
    });
  });
}

const label = fc.nat(3);
behaves<number, number>("ClassificationMetrics", {
  create: () =>
    new ClassificationMetrics(4, {
      scores: [
        ...(["accuracy", "macroF1", "weightedF1", "microF1", "f1", "matthews"] as const),
        ...(["inScopeAccuracy", "outOfScopeRecall"] as const),
      ],
      outOfScopeLabel: 3,
    }),
  pairs: fc.array(fc.tuple(label, label)),
  perfect: (gold) => gold,
  ones: ["accuracy", "macroF1", "weightedF1", "microF1"],
});

const indicators = fc
  .array(fc.constantFrom(0, 1), { minLength: 3, maxLength: 3 })
  .filter((row) => row.includes(1));
const probabilities = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 3, maxLength: 3 });
const multiLabelPairs = fc.array(fc.tuple(probabilities, indicators));
behaves<ArrayLike<number>, ArrayLike<number>>("MultiLabelMetrics", {
  create: () => new MultiLabelMetrics(3),
  pairs: multiLabelPairs,
  perfect: (gold) => gold,
  ones: ["microF1", "samplesF1", "subsetAccuracy"],
});

const probability = fc.double({ min: 0, max: 1, noNaN: true });
behaves<number, boolean>("CalibrationMetrics", {
  create: () => new CalibrationMetrics(),
  pairs: fc.array(fc.tuple(fc.oneof(probability, fc.constantFrom(0, 1, 0.2, 1 / 3)), fc.boolean())),
});

behaves<boolean, boolean>("AbstentionMetrics", {
  create: () => new AbstentionMetrics(),
  pairs: fc.array(fc.tuple(fc.boolean(), fc.boolean())),
});

const number = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.double({ min: -1e3, max: 1e3, noNaN: true }).map((value) => Number(value.toFixed(3))),
);
behaves<number, number>("RegressionMetrics", {
  create: () => new RegressionMetrics(),
  pairs: fc.array(fc.tuple(number, number)),
});

const tag = fc.constantFrom("O", "B-A", "I-A", "B-V", "I-V");
const sentencePairs = fc
  .array(fc.tuple(tag, tag), { maxLength: 6 })
  .map((words): Pair<readonly string[], readonly string[]> => {
    return [words.map(([predicted]) => predicted), words.map(([, gold]) => gold)];
  });
behaves<readonly string[], readonly string[]>("SpanMetrics", {
  create: () => new SpanMetrics(),
  pairs: fc.array(sentencePairs),
});

const text = fc.array(fc.constantFrom("a", "the", "cat", "Cat.", "22", " ")).map((parts) => parts.join(" "));
behaves<AnswerPrediction, readonly string[]>("AnswerMetrics", {
  create: () => new AnswerMetrics(0.7),
  pairs: fc.uniqueArray(
    fc.tuple(
      fc.record({ text, noAnswerScore: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.array(text, { maxLength: 3 }),
    ),
    { selector: ([{ noAnswerScore }]) => noAnswerScore },
  ),
  perfect: (gold) => ({
    text: gold.find((answer) => answerWords(answer).length > 0) ?? "",
    noAnswerScore: 0,
  }),
  ones: ["exactMatch", "f1", "bestExactMatch", "bestF1"],
});

behaves<boolean, OptionGold>("MultiRCMetrics", {
  create: () => new MultiRCMetrics(),
  pairs: fc.array(
    fc.tuple(fc.boolean(), fc.record({ question: fc.constantFrom("p", "q", "r"), isAnswer: fc.boolean() })),
  ),
  perfect: ({ isAnswer }) => isAnswer,
  ones: ["f1m", "exactMatch"],
});

const golds: Readonly<Record<string, readonly string[]>> = { p: ["cat"], q: ["the cat", "22"], r: ["a"] };
behaves<Candidate, QueryGold>("RecordMetrics", {
  create: () => new RecordMetrics(),
  pairs: fc.array(
    fc.tuple(
      fc.record({ text, score: fc.integer({ min: 0, max: 4 }) }),
      fc.constantFrom(...Object.keys(golds)).map((query) => ({ query, answers: golds[query]! })),
    ),
  ),
  perfect: ({ answers }) => ({ text: `The ${answers[0]!.toUpperCase()}!`, score: 5 }),
  ones: ["f1", "exactMatch"],
});

test("the tuned threshold reaches its micro-F1, in any order, and no other exceeds it", () => {
  fc.assert(
    fc.property(multiLabelPairs, fc.double({ min: 0, max: 1, noNaN: true }), (pairs, other) => {
      const [tuner, backwards] = [new ThresholdTuner(), new ThresholdTuner()];
      for (const [predicted, gold] of pairs) tuner.add(predicted, gold);
      for (const [predicted, gold] of pairs.toReversed()) backwards.add(predicted, gold);
      const { threshold, microF1 } = tuner.result();
      expect(backwards.result()).toEqual({ threshold, microF1 });
      const at = (given: number): number => {
        const metrics = new MultiLabelMetrics(3, given);
        for (const [predicted, gold] of pairs) metrics.add(predicted, gold);
        return metrics.result().microF1!;
      };
      expect(at(threshold)).toBe(microF1);
      expect(at(other)).toBeLessThanOrEqual(microF1);
    }),
  );
});

test("sentences tagged as in gold score 1 wherever there is a span", () => {
  fc.assert(
    fc.property(fc.array(sentencePairs, { minLength: 1 }), (pairs) => {
      const metrics = new SpanMetrics();
      for (const [, gold] of pairs) metrics.add(gold, gold);
      const { micro, macro, weighted, types } = metrics.report();
      fc.pre(micro.support > 0);
      for (const { precision, recall, f1 } of [micro, macro, weighted, ...Object.values(types)]) {
        expect([precision, recall, f1]).toEqual([1, 1, 1]);
      }
      expect(metrics.result()).toEqual({ f1: 1, precision: 1, recall: 1, tagAccuracy: 1 });
    }),
  );
});
