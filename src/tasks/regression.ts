/** Legend: B batch. */
import * as z from "zod";
import { PtuningError } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import { type SequenceHeadOptions, sequenceHead } from "../heads/index.ts";
import { RegressionMetrics } from "../metrics/index.ts";
import { squaredError } from "../nn/index.ts";
import { scoreDigits } from "./answer-columns.ts";
import { family, type TaskFamily } from "./family.ts";
import type { Task } from "./task.ts";
import { constantAnswer, type EncodedTexts, headSettings, savedHead, textTask } from "./text-task.ts";

/** Settings of regression. */
export interface RegressionOptions extends SequenceHeadOptions {
  /** Score that the model gives as 0. Default 0. */
  readonly center?: number;
  /** Difference of scores that the model gives as 1. Default 1. */
  readonly scale?: number;
}

/** The score of one text. */
export interface ScorePrediction {
  readonly score: number;
}

/**
 * A number per text or pair of texts: pooled vector, linear head with one output, squared error. The model learns
 * (score − center) / scale; a run takes mean and standard deviation of its training scores for the two, so that
 * learning rates suit every range of scores and a loss of 1 is that of always answering the mean. Predictions and
 * scores are in the data's own units.
 *
 * @throws OPTION_INVALID if scale is not above 0
 */
export function textRegression(
  options: RegressionOptions = {},
): Task<TextExample, EncodedTexts<number>, ScorePrediction> {
  const { center = 0, scale = 1, ...headOptions } = options;
  if (!(scale > 0 && Number.isFinite(scale) && Number.isFinite(center))) {
    throw new PtuningError(
      "OPTION_INVALID",
      `center and scale: expected finite numbers and a scale above 0, got ${center} and ${scale}.`,
    );
  }
  const head = sequenceHead(1, headOptions);
  const scoreOf = (output: number): number => output * scale + center;
  const task = textTask<number, ScorePrediction>({
    type: "regression",
    options: { center, scale, ...head.options },
    head,
    scores: ["pearson", "spearman", "mse", "mae"],
    selectBy: "pearson",
    lowerIsBetter: ["mse", "mae"],
    width: 1,
    gold({ score }) {
      if (score === undefined) return undefined;
      if (Number.isFinite(score)) return (score - center) / scale;
      throw new PtuningError("DATA_INVALID", `score: expected a finite number, got ${score}.`);
    },
    unlabelled: Number.NaN,
    isLabelled: (gold) => !Number.isNaN(gold),
    weight: () => 1,
    target(into, gold) {
      into[0] = gold;
    },
    loss: squaredError,
    lossOf: (logits, gold) => (logits[0]! - gold) ** 2,
    scorer() {
      const metrics = new RegressionMetrics();
      const [outputs, golds] = [new Set<number>(), new Set<number>()];
      return {
        add(_, logits, gold) {
          outputs.add(logits[0]!);
          golds.add(gold);
          metrics.add(scoreOf(logits[0]!), scoreOf(gold));
        },
        result: () => ({ scores: metrics.result(), collapsed: golds.size > 1 && outputs.size === 1 }),
      };
    },
    predict: (logits) => ({ score: scoreOf(logits[0]!) }),
    describe: (gold, { score }) => ({ gold: scoreOf(gold).toFixed(2), predicted: score.toFixed(2) }),
    summarize: (answers) => ({
      scatters: [
        {
          title: "Scores",
          points: answers.map(({ logits, gold }) => [scoreOf(gold), scoreOf(logits[0]!)] as const),
        },
      ],
    }),
    columns: () => [{ title: "score", digits: scoreDigits }],
    cells: ({ score }) => ({ score }),
    blank: { score: null },
    trivial: ({ labels }) => constantAnswer("mean of train", [momentsOf(Array.from(labels)).mean]),
  });
  return { ...task, blended: () => textRegression({ ...options, blend: true }) };
}

function momentsOf(values: readonly number[]): { readonly mean: number; readonly deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

const settings = z.strictObject({
  ...headSettings,
  center: z.number().exactOptional().describe("score that the model gives as 0; default: the mean of train"),
  scale: z
    .number()
    .positive()
    .exactOptional()
    .describe("difference of scores that it gives as 1; default: the standard deviation of train"),
});

/** Regression, for the registry. */
export const regressionFamily: TaskFamily = family<TextExample, RegressionOptions, RegressionOptions>({
  type: "regression",
  title: "a number per text or pair of texts",
  reads: "text",
  gold: "score",
  hasPresets: true,
  settings,
  saved: settings.extend(savedHead),
  fits: (examples) => examples.every(({ score }) => score !== undefined),
  resolve(settings, { train, source }) {
    const scores = train.flatMap(({ score }) => score ?? []);
    const { mean, deviation } = momentsOf(scores);
    const isSet = settings.center !== undefined && settings.scale !== undefined;
    if (!isSet && (scores.length === 0 || (scores.length > 1 && deviation === 0))) {
      const got = scores.length === 0 ? "none" : `${mean} in all ${scores.length} training examples`;
      throw new PtuningError(
        "DATA_INVALID",
        `${source?.path ?? "data"}: expected numbers that differ to learn, got ${got}.`,
        { hint: "Check which column holds them: --set data.score=NAME." },
      );
    }
    return { center: mean, scale: deviation || 1, ...settings };
  },
  create: (options) => textRegression(options) as Task,
  sample: {},
});
