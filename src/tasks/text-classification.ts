/** Legend: B batch, C labels. */
import * as z from "zod";
import { PtuningError, withoutUndefined } from "../core/index.ts";
import type { Dataset, TextExample } from "../data/index.ts";
import { type SequenceHeadOptions, sequenceHead } from "../heads/index.ts";
import { AbstentionMetrics, ClassificationMetrics, type ClassificationScore } from "../metrics/index.ts";
import { crossEntropy } from "../nn/index.ts";
import type { TextInput } from "../text/index.ts";
import { type AbstentionOptions, abstentionOf, abstentionSettings, searchAbstention } from "./abstention.ts";
import { classCells, classColumns, scoreDigits } from "./answer-columns.ts";
import { type CalibrationOptions, calibrationOf, calibrationSettings, classRows } from "./calibration.ts";
import { family, savedLabels, type TaskFamily } from "./family.ts";
import { reviewLabels } from "./label-review.ts";
import { argmax, logSumExp, softmax, topProbability } from "./logits.ts";
import type { Task } from "./task.ts";
import {
  constantAnswer,
  type EncodedTexts,
  headSettings,
  savedHead,
  type TextKind,
  textTask,
} from "./text-task.ts";
import {
  savedVerbalizer,
  usualTemplates,
  type Verbalized,
  type VerbalizerOptions,
  verbalized,
  verbalizerSettings,
} from "./verbalizer.ts";

/** Settings of every task with one label per text. */
export interface ClassOptions extends SequenceHeadOptions, CalibrationOptions, AbstentionOptions {
  /** The labels, in the order of the logits. */
  readonly labels: readonly string[];
  /** Weight of each label in the loss; default 1. */
  readonly classWeights?: Readonly<Record<string, number>>;
  /** Label of texts that belong to none of the others: scored apart from them. */
  readonly outOfScope?: string;
}

/** Settings of text classification. */
export interface SequenceClassificationOptions extends ClassOptions, VerbalizerOptions {}

/** The label of one text, with the probability of each. */
export interface TextPrediction {
  /** Null where none is given, as the task abstains; the label that is out of scope where there is one. */
  readonly label: string | null;
  /** The greatest probability: that of `label`, or of `guess` where the task abstains. */
  readonly score: number;
  /** Whether the greatest probability was too small to answer; absent where the task never abstains. */
  readonly abstained?: boolean;
  /** The label with the greatest probability, given or not; absent likewise. */
  readonly guess?: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

/**
 * One label per text or pair of texts: pooled vector, linear head, cross-entropy; or a template, the backbone's
 * masked-LM head and words for each label.
 *
 * @throws OPTION_INVALID if there are fewer than two labels, repeats, or weights for unknown labels; if a template or
 *   label words do not fit
 * @example
 * sequenceClassification({ labels: ["no", "yes"] }).head.options.pooling; // "mean"
 */
export function sequenceClassification(
  options: SequenceClassificationOptions,
): Task<TextExample, EncodedTexts<number>, TextPrediction> {
  const { head, template, words, calibrate, pieces, calibration, ...rest } = options;
  const form = verbalized(
    options.labels,
    withoutUndefined({ head, template, words, calibrate, pieces, calibration }) as VerbalizerOptions,
  );
  const foreign = (["pooling", "headDropout", "blend"] as const).find((key) => options[key] !== undefined);
  if (form?.head && foreign !== undefined) {
    throw new PtuningError(
      "OPTION_INVALID",
      `${foreign}: expected head linear beside it, got head verbalizer.`,
    );
  }
  const kind = classificationKind("text-classification", rest, form);
  const { settle } = form ?? {};
  return {
    ...textTask(kind),
    tune: (found) =>
      sequenceClassification({
        ...options,
        ...calibrationOf(classRows, options).settled(found),
        ...abstentionOf(options.abstain).settled(found),
      }),
    ...(!form?.head && { blended: () => sequenceClassification({ ...options, blend: true }) }),
    ...(settle && {
      settle: async (ground) => sequenceClassification({ ...options, ...(await settle(ground)) }),
    }),
  };
}

/** What classification of texts is made of, for families that score it in other ways. */
export function classificationKind(
  type: string,
  { labels, classWeights, outOfScope, temperature, abstain, ...headOptions }: ClassOptions,
  form?: Verbalized,
): TextKind<number, TextPrediction> {
  const calibration = calibrationOf(classRows, { temperature, preset: headOptions.preset });
  const abstention = abstentionOf(abstain);
  const width = labels.length;
  const index = labelIndex(labels);
  if (outOfScope !== undefined && !index.has(outOfScope)) {
    throw new PtuningError("OPTION_INVALID", `outOfScope: expected one of the labels, got "${outOfScope}".`);
  }
  const weights = weightsOf(labels, classWeights);
  const head = form?.head ?? sequenceHead(width, headOptions);
  const scores: ClassificationScore[] = ["accuracy", "macroF1", "matthews"];
  if (outOfScope !== undefined) scores.push("inScopeAccuracy", "outOfScopeRecall");
  const sideScores = ["ece", ...(abstain ? ["coverage", "answeredPrecision"] : [])];
  const outside = outOfScope === undefined ? undefined : index.get(outOfScope)!;
  /** The greatest probability, and what is answered: that label, or what stands for no answer. */
  const answerOf = (
    logits: ArrayLike<number>,
    temperature: number,
    threshold: number,
  ): { readonly best: number; readonly given: number | undefined } => {
    const best = argmax(logits);
    // Without a threshold an answer is one whatever its probability is.
    return {
      best,
      given: threshold === 0 || topProbability(logits, temperature) >= threshold ? best : outside,
    };
  };
  return {
    type,
    options: {
      labels,
      ...(classWeights && { classWeights }),
      ...(outOfScope !== undefined && { outOfScope }),
      ...calibration.options,
      ...abstention.options,
      ...head.options,
      ...form?.options,
    },
    head,
    ...(form && { sequences: form.sequences, pseudoTokens: form.pseudoTokens }),
    scores: [...scores, ...sideScores],
    selectBy: "accuracy",
    lowerIsBetter: ["ece"],
    sideScores,
    width,
    gold: ({ label }) => (label === undefined ? undefined : labelNumber(index, label)),
    unlabelled: -1,
    isLabelled: (gold) => gold >= 0,
    weight: (gold) => weights[gold]!,
    target(into, gold) {
      into[gold] = 1;
    },
    loss: (b, logits, targets, shares) => crossEntropy(b, logits, b.op("Mul", [targets, shares])),
    lossOf: (logits, gold) => logSumExp(logits) - logits[gold]!,
    ...((calibration.isOpen || abstention.isOpen) && {
      search(answers) {
        const { tuned, remarks } = calibration.search(answers);
        if (!abstention.isOpen) return { tuned, remarks };
        const { temperature } = calibration.settled(tuned);
        const graded = answers.flatMap(({ logits, gold }) => {
          const best = argmax(logits);
          return best === outside
            ? []
            : [{ confidence: topProbability(logits, temperature), isRight: best === gold }];
        });
        const found = searchAbstention(graded, abstain!);
        return { tuned: { ...tuned, ...found.tuned }, remarks: [...remarks, ...found.remarks] };
      },
    }),
    scorer(_, tuned) {
      const metrics = new ClassificationMetrics(width, {
        scores,
        ...(outside !== undefined && { outOfScopeLabel: outside }),
      });
      const { temperature } = calibration.settled(tuned);
      const threshold = abstention.threshold(tuned);
      const calibrated = calibration.metrics(temperature);
      const answered = new AbstentionMetrics();
      const [golds, guesses] = [new Set<number>(), new Set<number>()];
      return {
        add(_, logits, gold) {
          const { best, given } = answerOf(logits, temperature, threshold);
          golds.add(gold);
          guesses.add(best);
          calibrated.add({ logits, gold });
          metrics.add(given ?? best, gold);
          // Saying that a text is out of scope leaves it open.
          answered.add(given === best && best !== outside, best === gold);
        },
        result: () => ({
          scores: { ...metrics.result(), ...calibrated.result(), ...(abstain && answered.result()) },
          collapsed: golds.size > 1 && guesses.size === 1,
        }),
      };
    },
    predict(logits) {
      const { temperature } = calibration.settled({});
      const probabilities = softmax(logits, temperature);
      const { best, given } = answerOf(logits, temperature, abstention.threshold({}));
      return {
        label: given === undefined ? null : labels[given]!,
        score: probabilities[best]!,
        ...(abstain && { abstained: given !== best, guess: labels[best]! }),
        probabilities: Object.fromEntries(labels.map((label, i) => [label, probabilities[i]!])),
      };
    },
    describe: (gold, { label, guess }) => ({
      gold: labels[gold]!,
      predicted: label === null ? `none (${guess})` : label,
    }),
    summarize(answers) {
      const { temperature } = calibration.settled({});
      const graded = answers.map(({ logits, gold }) => {
        const { best, given } = answerOf(logits, temperature, abstention.threshold({}));
        return { gold, predicted: given ?? best };
      });
      return { ...reviewLabels(labels, graded), reliability: calibration.review(answers) };
    },
    columns: (detailed) => [
      { title: "label" },
      { title: "score", digits: scoreDigits },
      ...(abstain ? [{ title: "guess" }] : []),
      ...(detailed ? classColumns(labels) : []),
    ],
    cells: ({ label, score, guess, probabilities }, detailed) => ({
      label: label ?? "",
      score,
      ...(guess !== undefined && { guess }),
      ...(detailed && classCells(probabilities)),
    }),
    blank: { label: null, score: null, probabilities: {} },
    trivial({ labels: gold }) {
      const counts = new Array<number>(width).fill(0);
      for (let i = 0; i < gold.length; i++) if (gold[i]! >= 0) counts[gold[i]!]!++;
      // Probabilities as well as the answer are those of the labels in train, with one more of each.
      return constantAnswer(
        "majority class",
        counts.map((count) => Math.log(count + 1)),
      );
    },
    linear: {
      classes: width,
      texts: (encoded) =>
        perSequence(
          encoded,
          encoded.examples.map(({ text, pair }): TextInput => (pair === undefined ? text : [text, pair])),
        ),
      gold: (encoded) => perSequence(encoded, Array.from(encoded.labels)),
    },
  };
}

/**
 * The numbers of labels by their names.
 * @throws OPTION_INVALID if there are fewer than two, or repeats
 */
export function labelIndex(labels: readonly string[]): ReadonlyMap<string, number> {
  const index = new Map(labels.map((label, i) => [label, i]));
  if (labels.length >= 2 && index.size === labels.length) return index;
  throw new PtuningError(
    "OPTION_INVALID",
    `labels: expected at least two different labels, got ${JSON.stringify(labels.slice(0, 10))}.`,
    { hint: "Check which column holds the label." },
  );
}

/** @throws DATA_INVALID if there is no such label */
export function labelNumber(index: ReadonlyMap<string, number>, label: string): number {
  const number = index.get(label);
  if (number !== undefined) return number;
  throw new PtuningError(
    "DATA_INVALID",
    `label: expected one of ${[...index.keys()].join(", ")}, got "${label}".`,
  );
}

function weightsOf(
  labels: readonly string[],
  classWeights: Readonly<Record<string, number>> = {},
): readonly number[] {
  const weights = labels.map((label) => (Object.hasOwn(classWeights, label) ? classWeights[label]! : 1));
  const unknown = Object.keys(classWeights).find((label) => !labels.includes(label));
  if (unknown === undefined && weights.every((weight) => weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
    return weights;
  }
  const problem = unknown === undefined ? "a negative or infinite weight" : `the unknown label "${unknown}"`;
  throw new PtuningError("OPTION_INVALID", `classWeights: expected a weight per label, got ${problem}.`);
}

interface Settings extends SequenceHeadOptions, VerbalizerOptions, CalibrationOptions, AbstentionOptions {
  readonly classWeights?: "balanced" | Readonly<Record<string, number>>;
  readonly outOfScope?: string;
}

/** Keys of every task with one label per text. */
export const classSettings: z.core.$ZodLooseShape = {
  ...headSettings,
  classWeights: z
    .union([z.literal("balanced"), z.record(z.string(), z.number().min(0))])
    .exactOptional()
    .describe("weight of each label in the loss, or balanced: inverse to its frequency in train"),
  ...calibrationSettings,
};

/** What adapters of such tasks hold beside their settings. */
export const savedClasses: z.core.$ZodLooseShape = {
  labels: savedLabels,
  classWeights: z.record(z.string(), z.number().min(0)).exactOptional(),
};

/** Labels and weights from the data. */
export function resolveClasses(settings: Settings, data: Dataset<TextExample>): ClassOptions {
  const { classWeights, ...rest } = settings;
  const weights = classWeights === "balanced" ? balancedWeights(data) : classWeights;
  return { labels: data.labels, ...rest, ...(weights && { classWeights: weights }) };
}

/** n / (C · count) of each label, as scikit-learn's `class_weight="balanced"`. */
function balancedWeights({ train, labels }: Dataset<TextExample>): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { label } of train) counts.set(label!, (counts.get(label!) ?? 0) + 1);
  return Object.fromEntries(
    [...counts].map(([label, count]) => [label, train.length / (labels.length * count)]),
  );
}

/** The template of a verbalizer where none is given: by whether the examples are pairs. */
function usualForm({ head }: Settings, { train }: Dataset<TextExample>): VerbalizerOptions {
  if (head !== "verbalizer") return {};
  return { template: usualTemplates[train[0]?.pair === undefined ? "single" : "pair"] };
}

/** Something of each text, once for each of its sequences. */
function perSequence<T>({ sequences }: EncodedTexts<number>, values: readonly T[]): readonly T[] {
  const each = sequences.count / Math.max(1, values.length);
  return each === 1 ? values : values.flatMap((value) => new Array<T>(each).fill(value));
}

const textSettings = z.strictObject({
  ...classSettings,
  ...abstentionSettings,
  ...verbalizerSettings,
  outOfScope: z
    .string()
    .exactOptional()
    .describe(
      "label of texts that belong to none of the others: in-scope accuracy and its recall are scored",
    ),
});

/** Text classification, for the registry. */
export const textClassificationFamily: TaskFamily = family<
  TextExample,
  Settings,
  SequenceClassificationOptions
>({
  type: "text-classification",
  title: "one label per text or pair of texts",
  reads: "text",
  gold: "label",
  hasPresets: true,
  settings: textSettings,
  saved: textSettings.extend({ ...savedClasses, ...savedVerbalizer, ...savedHead }),
  fits: (examples) => examples.every(({ label }) => label !== undefined),
  resolve: (settings, data) => ({ ...usualForm(settings, data), ...resolveClasses(settings, data) }),
  create: (options) => sequenceClassification(options) as Task,
  sample: { labels: ["a", "b"] },
});
