/** Legend: B batch, C labels. */
import * as z from "zod";
import { greatest, PtuningError } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import { type SequenceHeadOptions, sequenceHead } from "../heads/index.ts";
import { MultiLabelMetrics, ThresholdTuner } from "../metrics/index.ts";
import { binaryCrossEntropy } from "../nn/index.ts";
import { classCells, classColumns } from "./answer-columns.ts";
import { type CalibrationOptions, calibrationOf, calibrationSettings, labelRows } from "./calibration.ts";
import { family, savedLabels, type TaskFamily } from "./family.ts";
import { scoreTable } from "./label-review.ts";
import { sigmoid, softplus } from "./logits.ts";
import type { Task, TunedOptions } from "./task.ts";
import { labelIndex, labelNumber } from "./text-classification.ts";
import { constantAnswer, type EncodedTexts, headSettings, savedHead, textTask } from "./text-task.ts";

/** Settings of multi-label classification. */
export interface MultiLabelOptions extends SequenceHeadOptions, CalibrationOptions {
  /** The labels, in the order of the logits. */
  readonly labels: readonly string[];
  /**
   * A label is given where its probability is at least this. `"tuned"`, the default, takes the threshold with the
   * best micro-F1 on dev, which the adapter then holds; 0.5 where there is no dev set.
   */
  readonly threshold?: number | "tuned";
}

/** The labels of one text: none, one or several, with the probability of each. */
export interface MultiLabelPrediction {
  readonly labels: readonly string[];
  readonly probabilities: Readonly<Record<string, number>>;
}

/** Where a threshold is to be tuned and there is nothing to tune it on. */
const plainThreshold = 0.5;

/**
 * Any number of labels per text or pair of texts: pooled vector, linear head, a sigmoid per label, binary
 * cross-entropy summed over the labels.
 *
 * @throws OPTION_INVALID if there are fewer than two labels, repeats, or the threshold is no probability
 */
export function multiLabelClassification(
  options: MultiLabelOptions,
): Task<TextExample, EncodedTexts<readonly number[]>, MultiLabelPrediction> {
  const { labels, threshold = "tuned", temperature, ...headOptions } = options;
  const calibration = calibrationOf(labelRows, options);
  const width = labels.length;
  const index = labelIndex(labels);
  if (threshold !== "tuned" && !(threshold >= 0 && threshold <= 1)) {
    throw new PtuningError("OPTION_INVALID", `threshold: expected "tuned" or 0 to 1, got ${threshold}.`);
  }
  const thresholdOf = (found: TunedOptions): number =>
    threshold === "tuned" ? Number(found.threshold ?? plainThreshold) : threshold;
  const applied = thresholdOf({});
  const head = sequenceHead(width, headOptions);
  const unlabelled: readonly number[] = [];
  const isPlain = labels.every((label) => !/^\s|\s$|^\[|,/.test(label));
  const task = textTask<readonly number[], MultiLabelPrediction>({
    type: "multi-label",
    options: { labels, threshold, ...calibration.options, ...head.options },
    head,
    scores: ["microF1", "macroF1", "samplesF1", "subsetAccuracy", "ece"],
    selectBy: "microF1",
    lowerIsBetter: ["ece"],
    sideScores: ["ece"],
    width,
    /** One number per label: 1 where the example has it. */
    gold({ labels: given }) {
      if (given === undefined) return undefined;
      const row = new Array<number>(width).fill(0);
      for (const label of given) row[labelNumber(index, label)] = 1;
      return row;
    },
    unlabelled,
    isLabelled: (gold) => gold !== unlabelled,
    weight: () => 1,
    target: (into, gold) => into.set(gold),
    loss: binaryCrossEntropy,
    lossOf: (logits, gold) =>
      gold.reduce((sum, target, i) => sum + softplus(logits[i]!) - target * logits[i]!, 0),
    ...((calibration.isOpen || threshold === "tuned") && {
      search(answers) {
        const { tuned, remarks } = calibration.search(answers);
        if (threshold !== "tuned") return { tuned, remarks };
        const tuner = new ThresholdTuner();
        const { temperature } = calibration.settled(tuned);
        for (const { logits, gold } of answers) tuner.add(probabilitiesOf(logits, temperature), gold);
        return { tuned: { ...tuned, threshold: tuner.result().threshold }, remarks };
      },
    }),
    scorer(_, tuned) {
      const { temperature } = calibration.settled(tuned);
      const given = thresholdOf(tuned);
      const metrics = new MultiLabelMetrics(width, given);
      const calibrated = calibration.metrics(temperature);
      const [golds, answers] = [new Set<string>(), new Set<string>()];
      return {
        add(_, logits, gold) {
          const probabilities = probabilitiesOf(logits, temperature);
          metrics.add(probabilities, gold);
          calibrated.add({ logits, gold });
          golds.add(String(gold));
          answers.add(String(probabilities.map((p) => p >= given)));
        },
        result: () => ({
          scores: { ...metrics.result(), ...calibrated.result() },
          collapsed: golds.size > 1 && answers.size === 1,
        }),
      };
    },
    predict(logits) {
      const probabilities = probabilitiesOf(logits, calibration.settled({}).temperature);
      return {
        labels: labels.filter((_, i) => probabilities[i]! >= applied),
        probabilities: Object.fromEntries(labels.map((label, i) => [label, probabilities[i]!])),
      };
    },
    describe: (gold, prediction) => ({
      gold: labels.filter((_, i) => gold[i] === 1).join(", ") || "none",
      predicted: prediction.labels.join(", ") || "none",
    }),
    summarize(answers) {
      const metrics = new MultiLabelMetrics(width, applied);
      for (const { logits, gold } of answers) {
        metrics.add(probabilitiesOf(logits, calibration.settled({}).temperature), gold);
      }
      return {
        matrices: [],
        tables: [scoreTable("Labels", labels, metrics.perLabel())],
        reliability: calibration.review(answers),
      };
    },
    columns: (detailed) => [{ title: "labels" }, ...(detailed ? classColumns(labels) : [])],
    cells: (prediction, detailed) => ({
      // Read back as the labels that they are: as a JSON list where a comma does not tell them apart.
      labels: isPlain ? prediction.labels.join(", ") : JSON.stringify(prediction.labels),
      ...(detailed && classCells(prediction.probabilities)),
    }),
    blank: { labels: [], probabilities: {} },
    tune: (found) =>
      multiLabelClassification({
        ...options,
        threshold: thresholdOf(found),
        ...calibration.settled(found),
      }),
    trivial({ labels: gold }) {
      const counts = new Array<number>(width).fill(0);
      for (const row of Array.from(gold)) for (const [i, value] of row.entries()) counts[i]! += value;
      const most = counts.indexOf(greatest(counts));
      return constantAnswer(
        "most frequent label",
        counts.map((_, i) => (i === most ? certain : -certain)),
      );
    },
  });
  return { ...task, blended: () => multiLabelClassification({ ...options, blend: true }) };
}

function probabilitiesOf(logits: ArrayLike<number>, temperature: number): number[] {
  return Array.from(logits, (logit) => sigmoid(logit / temperature));
}

/** A logit whose probability is 1 for every purpose. */
const certain = 30;

interface Settings extends SequenceHeadOptions, CalibrationOptions {
  readonly threshold?: number | "tuned";
}

const settings = z.strictObject({
  ...headSettings,
  threshold: z
    .union([z.number().min(0).max(1), z.literal("tuned")])
    .exactOptional()
    .describe("probability from which a label is given; tuned: the best one on dev"),
  ...calibrationSettings,
});

/** Multi-label classification, for the registry. */
export const multiLabelFamily: TaskFamily = family<TextExample, Settings, MultiLabelOptions>({
  type: "multi-label",
  title: "any number of labels per text or pair of texts",
  reads: "text",
  gold: "labels",
  hasPresets: true,
  settings,
  saved: settings.extend({ labels: savedLabels, ...savedHead }),
  fits: (examples) => examples.every(({ labels }) => labels !== undefined),
  resolve: (settings, { labels }) => ({ labels, ...settings }),
  create: (options) => multiLabelClassification(options) as Task,
  sample: { labels: ["a", "b"] },
});
