/** Legend: B batch, C labels. */
import { PtuningError, type Tensor } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import { type SequenceHeadOptions, sequenceHead } from "../heads/index.ts";
import { ClassificationMetrics } from "../metrics/index.ts";
import { crossEntropy } from "../nn/index.ts";
import type { TextInput } from "../text/index.ts";
import { reviewLabels } from "./label-review.ts";
import type { Reviewer } from "./review.ts";
import type { Decoder, Encoded, Evaluator, HeadOutput, TableRow, Task } from "./task.ts";

/** Settings of text classification. */
export interface SequenceClassificationOptions extends SequenceHeadOptions {
  /** The labels, in the order of the logits. */
  readonly labels: readonly string[];
  /** Weight of each label in the loss; default 1. `"balanced"` needs the training data: see `balancedWeights`. */
  readonly classWeights?: Readonly<Record<string, number>>;
}

/** The label of one text, with the probability of each. */
export interface TextPrediction {
  readonly label: string;
  /** Probability of `label`. */
  readonly score: number;
  readonly probabilities: Readonly<Record<string, number>>;
}

interface EncodedTexts extends Encoded {
  /** Label number of each example; −1 where it has none. */
  readonly labels: Int32Array;
}

/**
 * One label per text or pair of texts: pooled vector, linear head, cross-entropy.
 *
 * @throws OPTION_INVALID if there are fewer than two labels, repeats, or weights for unknown labels
 * @example
 * sequenceClassification({ labels: ["no", "yes"] }).head.options.pooling; // "mean"
 */
export function sequenceClassification(
  options: SequenceClassificationOptions,
): Task<TextExample, EncodedTexts, TextPrediction> {
  const { labels, classWeights, ...headOptions } = options;
  const numLabels = labels.length;
  const index = new Map(labels.map((label, i) => [label, i]));
  if (numLabels < 2 || index.size !== numLabels) {
    throw new PtuningError(
      "OPTION_INVALID",
      `labels: expected at least two different labels, got ${JSON.stringify(labels.slice(0, 10))}.`,
      { hint: "Check which column holds the label." },
    );
  }
  const weights = labels.map((label) => classWeights?.[label] ?? 1);
  const unknown = Object.keys(classWeights ?? {}).find((label) => !index.has(label));
  if (
    unknown !== undefined ||
    weights.some((weight) => !(weight >= 0) || weight === Number.POSITIVE_INFINITY)
  ) {
    const problem =
      unknown === undefined ? "a negative or infinite weight" : `the unknown label "${unknown}"`;
    throw new PtuningError("OPTION_INVALID", `classWeights: expected a weight per label, got ${problem}.`);
  }
  const head = sequenceHead(numLabels, headOptions);
  return {
    type: "text-classification",
    options: { labels, ...(classWeights && { classWeights }), ...head.options },
    reads: "text",
    head,
    scores: ["accuracy", "macroF1"],
    selectBy: "accuracy",
    async encode(examples, tokenizer, maxLength) {
      const numbers = Int32Array.from(examples, ({ label }) => {
        if (label === undefined) return -1;
        const number = index.get(label);
        if (number !== undefined) return number;
        throw new PtuningError(
          "DATA_INVALID",
          `label: expected one of ${labels.join(", ")}, got "${label}".`,
        );
      });
      const texts = examples.map(({ text, pair }): TextInput => (pair === undefined ? text : [text, pair]));
      return {
        count: examples.length,
        sequences: await tokenizer.encode(texts, maxLength),
        labels: numbers,
      };
    },
    weight: ({ labels: gold }, rows) =>
      rows.reduce((sum, row) => sum + (gold[row]! < 0 ? 0 : weights[gold[row]!]!), 0),
    targets(encoded, { rows }) {
      const targets: Tensor<"float32"> = {
        dtype: "float32",
        shape: [rows.length, numLabels],
        data: new Float32Array(rows.length * numLabels),
      };
      for (const [b, row] of rows.entries()) {
        const label = encoded.labels[row]!;
        if (label >= 0) targets.data[b * numLabels + label] = weights[label]!;
      }
      return { targets };
    },
    loss: (b, logits) => crossEntropy(b, logits, b.input("targets", "float32", ["B", numLabels])),
    evaluator: (encoded) => textEvaluator(encoded, weights),
    decoder: (encoded) => textDecoder(encoded, labels),
    reviewer: (encoded) => textReviewer(encoded, labels),
    fromText: (text, pair) => ({ text, ...(pair !== undefined && { pair }) }),
    tabulate: ({ text, pair }, { label, score, probabilities }, detailed): readonly TableRow[] => [
      {
        label,
        score,
        ...(detailed && probabilities),
        text: pair === undefined ? text : `${text} | ${pair}`,
      },
    ],
  };
}

function textEvaluator({ labels }: EncodedTexts, weights: readonly number[]): Evaluator {
  const width = weights.length;
  const metrics = new ClassificationMetrics(width);
  let [loss, weight] = [0, 0];
  const seen = new Set<number>();
  return {
    add({ rows, logits }) {
      for (const [b, row] of rows.entries()) {
        const gold = labels[row]!;
        if (gold < 0) continue;
        seen.add(gold);
        metrics.add(argmaxRow(logits, b, width), gold);
        loss += weights[gold]! * rowLoss(logits, b, width, gold);
        weight += weights[gold]!;
      }
    },
    result: () => ({
      scores: metrics.result(),
      loss: weight === 0 ? 0 : loss / weight,
      collapsed: seen.size > 1 && metrics.predictedLabels === 1,
    }),
  };
}

function textDecoder({ count }: EncodedTexts, labels: readonly string[]): Decoder<TextPrediction> {
  const predictions = new Array<TextPrediction>(count);
  return {
    add({ rows, logits }: HeadOutput) {
      for (const [b, row] of rows.entries()) {
        const probabilities = softmaxRow(logits, b, labels.length);
        const best = argmaxRow(logits, b, labels.length);
        predictions[row] = {
          label: labels[best]!,
          score: probabilities[best]!,
          probabilities: Object.fromEntries(labels.map((label, i) => [label, probabilities[i]!])),
        };
      }
    },
    finish: () => predictions,
  };
}

function textReviewer({ labels: gold }: EncodedTexts, labels: readonly string[]): Reviewer {
  const answers: Parameters<typeof reviewLabels>[1][number][] = [];
  const width = labels.length;
  return {
    add({ rows, logits }) {
      for (const [b, index] of rows.entries()) {
        const label = gold[index]!;
        if (label < 0) continue;
        const [predicted, loss] = [argmaxRow(logits, b, width), rowLoss(logits, b, width, label)];
        answers.push({ index, gold: label, predicted, loss });
      }
    },
    finish: () => reviewLabels(labels, answers),
  };
}

/** Cross-entropy of one row. */
function rowLoss(logits: ArrayLike<number>, row: number, width: number, gold: number): number {
  return logSumExpRow(logits, row, width) - logits[row * width + gold]!;
}

function argmaxRow(logits: ArrayLike<number>, row: number, width: number): number {
  let best = 0;
  for (let i = 1; i < width; i++) if (logits[row * width + i]! > logits[row * width + best]!) best = i;
  return best;
}

function logSumExpRow(logits: ArrayLike<number>, row: number, width: number): number {
  const largest = logits[row * width + argmaxRow(logits, row, width)]!;
  let total = 0;
  for (let i = 0; i < width; i++) total += Math.exp(logits[row * width + i]! - largest);
  return largest + Math.log(total);
}

function softmaxRow(logits: ArrayLike<number>, row: number, width: number): number[] {
  const total = logSumExpRow(logits, row, width);
  return Array.from({ length: width }, (_, i) => Math.exp(logits[row * width + i]! - total));
}
