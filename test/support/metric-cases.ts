/** Cases that tools/reference/make_metrics.py made, and our scores of the same. */
import { decodeTags, type TypedSpan } from "ptuning/data";
import {
  AnswerMetrics,
  answerWords,
  ClassificationMetrics,
  type FScore,
  MultiLabelMetrics,
  MultiRCMetrics,
  RecordMetrics,
  RegressionMetrics,
  type Scores,
  SpanMetrics,
  ThresholdTuner,
} from "ptuning/internal/metrics";
import { expect } from "vitest";

type Report = Readonly<Record<string, FScore>> | null;

/** What the program writes, by kind of metric. */
export interface MetricCases {
  readonly classification: readonly {
    readonly numLabels: number;
    readonly predicted: readonly number[];
    readonly gold: readonly number[];
    readonly positiveLabel: number;
    readonly outOfScopeLabel: number;
    readonly expected: Scores;
    readonly perLabel: readonly FScore[];
    /** lm-eval's macro-F1 for CommitmentBank: over all three labels, also absent ones. */
    readonly cbF1?: number;
  }[];
  readonly multiLabel: readonly {
    readonly probabilities: readonly (readonly number[])[];
    readonly gold: readonly (readonly number[])[];
    readonly threshold: number;
    readonly expected: Scores;
    readonly perLabel: readonly FScore[];
    readonly bestMicroF1: number;
  }[];
  readonly regression: readonly {
    readonly predicted: readonly number[];
    readonly gold: readonly number[];
    /** Null where scipy gives NaN. */
    readonly expected: Readonly<Record<string, number | null>>;
  }[];
  readonly spans: readonly {
    readonly predicted: readonly (readonly string[])[];
    readonly gold: readonly (readonly string[])[];
    readonly without: string;
    readonly expected: Scores;
    readonly spans: readonly (readonly TypedSpan[])[];
    readonly report: Report;
    readonly reportWithout: Report;
  }[];
  readonly words: readonly { readonly text: string; readonly words: readonly string[] }[];
  readonly answers: readonly {
    readonly threshold: number;
    readonly questions: readonly {
      readonly predicted: string;
      readonly noAnswerScore: number;
      readonly gold: readonly string[];
    }[];
    readonly expected: Scores;
  }[];
  readonly multiRC: readonly {
    readonly rows: readonly (readonly [question: string, predicted: number, gold: number])[];
    readonly expected: Scores;
  }[];
  readonly record: readonly {
    readonly queries: readonly {
      readonly candidates: readonly { readonly text: string; readonly score: number }[];
      readonly answers: readonly string[];
    }[];
    readonly expected: Scores;
  }[];
}

function expectClose(actual: Scores | FScore, expected: Scores | FScore, what: unknown): void {
  const message = JSON.stringify({ what, actual, expected });
  expect(Object.keys(actual).sort(), message).toEqual(Object.keys(expected).sort());
  const [ours, theirs] = [Object.entries(actual), new Map(Object.entries(expected))];
  for (const [name, value] of ours) {
    const difference = Math.abs(value - theirs.get(name)!);
    expect(difference, `${name}: ${message}`).toBeLessThan(1e-9 * Math.max(1, Math.abs(value)));
  }
}

function expectRows(actual: readonly FScore[], expected: readonly FScore[], what: unknown): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, row] of actual.entries()) expectClose(row, expected[i]!, what);
}

/** One comparison per kind of metric; throws at the first difference. */
export const comparisons: { readonly [K in keyof MetricCases]: (given: MetricCases[K][number]) => void } = {
  classification(given) {
    const { numLabels, predicted, gold, positiveLabel, outOfScopeLabel } = given;
    const metrics = new ClassificationMetrics(numLabels, {
      scores: [
        ...(["accuracy", "macroF1", "weightedF1", "microF1", "f1", "matthews"] as const),
        ...(["inScopeAccuracy", "outOfScopeRecall"] as const),
      ],
      positiveLabel,
      outOfScopeLabel,
    });
    for (const [i, label] of gold.entries()) metrics.add(predicted[i]!, label);
    expectClose(metrics.result(), given.expected, given);
    expectRows(metrics.perLabel(), given.perLabel, given);
    if (given.cbF1 !== undefined) {
      const f1 = metrics.perLabel().reduce((sum, label) => sum + label.f1, 0) / numLabels;
      expectClose({ f1 }, { f1: given.cbF1 }, given);
    }
  },
  multiLabel(given) {
    const metrics = new MultiLabelMetrics(given.gold[0]!.length, given.threshold);
    const tuner = new ThresholdTuner();
    for (const [i, labels] of given.gold.entries()) {
      metrics.add(given.probabilities[i]!, labels);
      tuner.add(given.probabilities[i]!, labels);
    }
    expectClose(metrics.result(), given.expected, given);
    expectRows(metrics.perLabel(), given.perLabel, given);
    const { threshold, microF1 } = tuner.result();
    const tuned = new MultiLabelMetrics(given.gold[0]!.length, threshold);
    for (const [i, labels] of given.gold.entries()) tuned.add(given.probabilities[i]!, labels);
    expectClose({ microF1 }, { microF1: given.bestMicroF1 }, given);
    expectClose({ microF1 }, { microF1: tuned.result().microF1! }, given);
  },
  regression(given) {
    const metrics = new RegressionMetrics();
    for (const [i, value] of given.gold.entries()) metrics.add(given.predicted[i]!, value);
    const expected = Object.entries(given.expected).map(([name, value]) => [name, value ?? 0]);
    expectClose(metrics.result(), Object.fromEntries(expected), given);
  },
  spans(given) {
    const metrics = new SpanMetrics();
    for (const [i, tags] of given.gold.entries()) {
      metrics.add(given.predicted[i]!, tags);
      expect(decodeTags(given.predicted[i]!)).toEqual(given.spans[i]);
    }
    expectClose(metrics.result(), given.expected, given);
    for (const [without, expected] of [
      [[], given.report],
      [[given.without], given.reportWithout],
    ] as const) {
      const { types, micro, macro, weighted } = metrics.report({ without });
      const averages = { "micro avg": micro, "macro avg": macro, "weighted avg": weighted };
      const nothing = { precision: 0, recall: 0, f1: 0, support: 0 };
      const rows = Object.entries({ ...types, ...averages });
      if (expected !== null) expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(expected).sort());
      for (const [name, row] of rows) expectClose(row, expected === null ? nothing : expected[name]!, given);
    }
  },
  words: ({ text, words }) => expect(answerWords(text), JSON.stringify(text)).toEqual(words),
  answers(given) {
    const metrics = new AnswerMetrics(given.threshold);
    for (const { predicted, noAnswerScore, gold } of given.questions) {
      metrics.add({ text: predicted, noAnswerScore }, gold);
    }
    const names = {
      exactMatch: "exact",
      f1: "f1",
      hasAnswerExactMatch: "HasAns_exact",
      hasAnswerF1: "HasAns_f1",
      noAnswerExactMatch: "NoAns_exact",
      noAnswerF1: "NoAns_f1",
      bestExactMatch: "best_exact",
      bestExactMatchThreshold: "best_exact_thresh",
      bestF1: "best_f1",
      bestF1Threshold: "best_f1_thresh",
    };
    const hasBoth = given.expected.HasAns_total !== undefined && given.expected.NoAns_total !== undefined;
    const wanted = Object.entries(names).filter(([ours]) => hasBoth || !/^(has|no)Answer/.test(ours));
    const expected = wanted.map(([ours, theirs]) => {
      return [ours, given.expected[theirs]! / (ours.endsWith("Threshold") ? 1 : 100)];
    });
    expectClose(metrics.result(), Object.fromEntries(expected), given);
  },
  multiRC(given) {
    const metrics = new MultiRCMetrics();
    for (const [question, predicted, gold] of given.rows) {
      metrics.add(predicted === 1, { question, isAnswer: gold === 1 });
    }
    expectClose(metrics.result(), given.expected, given);
  },
  record(given) {
    const metrics = new RecordMetrics();
    for (const [i, { candidates, answers }] of given.queries.entries()) {
      for (const candidate of candidates) metrics.add(candidate, { query: `${i}`, answers });
    }
    expectClose(metrics.result(), given.expected, given);
  },
};

/** Compares every case of one kind; how many there were. */
export function compareAll<K extends keyof MetricCases>(kind: K, cases: MetricCases): number {
  for (const given of cases[kind]) comparisons[kind](given as MetricCases[K][number]);
  return cases[kind].length;
}
