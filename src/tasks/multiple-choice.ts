/** Legend: B sequences of a pass, N items (examples), K alternatives of the item that has most. */
import * as z from "zod";
import { floats, greatest, int64s, lazyArray, PtuningError, type TensorMap } from "../core/index.ts";
import type { ChoiceExample } from "../data/index.ts";
import { type SequenceHeadOptions, sequenceHead } from "../heads/index.ts";
import { ClassificationMetrics } from "../metrics/index.ts";
import { crossEntropy } from "../nn/index.ts";
import type { TextInput } from "../text/index.ts";
import { scoreDigits } from "./answer-columns.ts";
import {
  type Calibration,
  type CalibrationOptions,
  calibrationOf,
  calibrationSettings,
  classRows,
} from "./calibration.ts";
import { family, type TaskFamily } from "./family.ts";
import { argmax, logSumExp, softmax } from "./logits.ts";
import type { Encoded, Evaluation, HeadOutput, Task } from "./task.ts";
import type { ClassRow } from "./temperature.ts";
import { headSettings } from "./text-task.ts";

/** Settings of multiple choice. */
export interface MultipleChoiceOptions extends SequenceHeadOptions, CalibrationOptions {}

/** The alternative that was chosen, with the probability of each. */
export interface ChoicePrediction {
  /** Number of the alternative, from 0. */
  readonly choice: number;
  readonly text: string;
  /** Probability of the alternative. */
  readonly score: number;
  readonly probabilities: readonly number[];
}

/** Alternatives as sequences: those of an example stand together, and an example is an item. */
interface EncodedChoices extends Encoded {
  readonly itemStarts: Int32Array;
  /** Number of the right alternative of each example; −1 where it has none. */
  readonly labels: Int32Array;
  /** Example of each sequence. */
  readonly items: Int32Array;
  readonly examples: readonly ChoiceExample[];
}

/** Added to the logit of an alternative that an item does not have; finite, as 0 · ∞ is not a number. */
const absent = -1e9;

/**
 * One of several alternatives per text, any number of them: text and alternative as a pair, a vector each, one
 * output, cross-entropy over the alternatives of each example (paper section 1.11, COPA).
 *
 * @throws DATA_INVALID from `encode` if an example has fewer than two alternatives, or its label is none of them
 */
export function multipleChoice(
  options: MultipleChoiceOptions = {},
): Task<ChoiceExample, EncodedChoices, ChoicePrediction> {
  const { temperature: _, ...headOptions } = options;
  const calibration = calibrationOf(classRows, options);
  const head = { ...sequenceHead(1, headOptions), name: "choice" };
  const scores = ["accuracy", "ece"];
  /** Whether a sequence is the first of an example that counts: the example's weight sits there. */
  const counts = ({ items, itemStarts, labels }: EncodedChoices, row: number): boolean =>
    itemStarts[items[row]!] === row && labels[items[row]!]! >= 0;
  return {
    type: "multiple-choice",
    options: { ...calibration.options, ...head.options },
    reads: "choices",
    head,
    scores,
    selectBy: "accuracy",
    lowerIsBetter: ["ece"],
    sideScores: ["ece"],
    async encode(examples, tokenizer, maxLength) {
      const labels = Int32Array.from(examples, checkedLabel);
      const itemStarts = new Int32Array(examples.length + 1);
      for (const [item, { choices }] of examples.entries()) {
        itemStarts[item + 1] = itemStarts[item]! + choices.length;
      }
      const items = new Int32Array(itemStarts[examples.length]!);
      for (let item = 0; item < examples.length; item++) {
        items.fill(item, itemStarts[item], itemStarts[item + 1]);
      }
      const texts = lazyArray(items.length, (row): TextInput => {
        const { text, choices } = examples.at(items[row]!)!;
        return [text, choices[row - itemStarts[items[row]!]!]!];
      });
      const sequences = await tokenizer.encode(texts, maxLength);
      return { count: examples.length, sequences, itemStarts, owners: items, items, labels, examples };
    },
    weight: (encoded, rows) => rows.reduce((sum, row) => sum + Number(counts(encoded, row)), 0),
    targets(encoded, { rows }): TensorMap {
      const { items, itemStarts, labels } = encoded;
      // Where each item starts among the sequences of the pass.
      const starts = [...rows.keys()].filter((b) => itemStarts[items[rows[b]!]!] === rows[b]);
      const sizes = starts.map((b) => itemStarts[items[rows[b]!]! + 1]! - rows[b]!);
      const [N, K] = [starts.length, greatest(sizes)];
      const places = new Array<number>(N * K).fill(0);
      const [mask, targets] = [new Float32Array(N * K).fill(absent), new Float32Array(N * K)];
      for (const [n, b] of starts.entries()) {
        for (let k = 0; k < sizes[n]!; k++) {
          places[n * K + k] = b + k;
          mask[n * K + k] = 0;
        }
        const label = labels[items[rows[b]!]!]!;
        if (label >= 0) targets[n * K + label] = 1;
      }
      return {
        "choice.rows": int64s([N, K], places),
        "choice.mask": floats([N, K], mask),
        targets: floats([N, K], targets),
      };
    },
    loss(b, logits) {
      const rows = b.input("choice.rows", "int64", ["N", "K"]);
      const mask = b.input("choice.mask", "float32", ["N", "K"]);
      const targets = b.input("targets", "float32", ["N", "K"]);
      const picked = b.op("Gather", [b.reshape(logits, [logits.shape[0]!]), rows], { axis: 0 }); // [N, K]
      return crossEntropy(b, b.op("Add", [picked, mask]), targets);
    },
    evaluator(encoded) {
      const collected = collect(encoded);
      return { add: collected.add, result: () => evaluate(encoded, collected.items(), calibration) };
    },
    reviewer(encoded) {
      const collected = collect(encoded);
      return {
        add: collected.add,
        finish() {
          const rows = labelledRows(encoded, collected.items());
          return {
            matrices: [],
            tables: [],
            reliability: calibration.review(rows),
            examples: rows.map(({ index, logits, gold }) => {
              const { choices } = encoded.examples[index]!;
              const loss = logSumExp(logits) - logits[gold]!;
              return { index, loss, gold: choices[gold]!, predicted: choices[argmax(logits)]! };
            }),
          };
        },
      };
    },
    decoder(encoded) {
      const collected = collect(encoded);
      return {
        add: collected.add,
        finish: () =>
          collected.items().map((logits, item) => {
            const probabilities = softmax(logits, calibration.settled({}).temperature);
            const choice = argmax(logits);
            const text = encoded.examples[item]!.choices[choice]!;
            return { choice, text, score: probabilities[choice]!, probabilities };
          }),
      };
    },
    tune: (found) => multipleChoice({ ...options, ...calibration.settled(found) }),
    trivial({ labels }) {
      const tally = new Map<number, number>();
      for (const label of labels) tally.set(label, (tally.get(label) ?? 0) + 1);
      const [place] = [...tally].reduce((a, b) => (b[1] > a[1] ? b : a), [0, 0]);
      return {
        name: "most frequent place",
        logits: ({ items, itemStarts }, { rows }) =>
          Array.from(rows, (row) => Number(row - itemStarts[items[row]!]! === place)),
      };
    },
    blank: { choice: null, text: null, score: null, probabilities: [] },
    columns: () => [
      { title: "choice" },
      { title: "score", digits: scoreDigits },
      { title: "alternative" },
      { title: "text" },
    ],
    tabulate: ({ text, choices }, { choice, score, probabilities }, detailed) =>
      detailed
        ? choices.map((alternative, i) => ({
            choice: i === choice ? "*" : "",
            score: probabilities[i]!,
            alternative,
            text,
          }))
        : [{ choice, score, alternative: choices[choice]!, text }],
  };
}

/** @throws DATA_INVALID */
function checkedLabel({ choices, label, line }: ChoiceExample): number {
  const where = line === undefined ? "" : `line ${line}: `;
  if (choices.length < 2) {
    throw new PtuningError(
      "DATA_INVALID",
      `${where}choices: expected at least two alternatives, got ${choices.length}.`,
    );
  }
  if (label === undefined) return -1;
  if (Number.isInteger(label) && label >= 0 && label < choices.length) return label;
  throw new PtuningError(
    "DATA_INVALID",
    `${where}label: expected the number of an alternative, 0 to ${choices.length - 1}, got ${label}.`,
  );
}

/** Gathers the logits of all sequences; passes may tear items apart. */
function collect({ sequences, itemStarts, count }: EncodedChoices): {
  add(output: HeadOutput): void;
  items(): Float64Array[];
} {
  const all = new Float64Array(sequences.count);
  return {
    add({ rows, logits }) {
      for (const [b, row] of rows.entries()) all[row] = logits[b]!;
    },
    items: () =>
      Array.from({ length: count }, (_, item) => all.subarray(itemStarts[item]!, itemStarts[item + 1]!)),
  };
}

/** The examples that have a gold answer, each with its number. */
function labelledRows(
  { labels }: EncodedChoices,
  items: readonly Float64Array[],
): (ClassRow & { readonly index: number })[] {
  return items.flatMap((logits, index) =>
    labels[index]! < 0 ? [] : [{ index, logits, gold: labels[index]! }],
  );
}

function evaluate(
  encoded: EncodedChoices,
  items: readonly Float64Array[],
  calibration: Calibration<ClassRow>,
): Evaluation {
  const rows = labelledRows(encoded, items);
  const { tuned, remarks } = calibration.search(rows);
  const widest = items.reduce((most, { length }) => Math.max(most, length), 2);
  const metrics = new ClassificationMetrics(widest, { scores: ["accuracy"] });
  const calibrated = calibration.metrics(calibration.settled(tuned).temperature);
  const seen = new Set<number>();
  let loss = 0;
  for (const { logits, gold } of rows) {
    seen.add(gold);
    metrics.add(argmax(logits), gold);
    calibrated.add({ logits, gold });
    loss += logSumExp(logits) - logits[gold]!;
  }
  return {
    scores: { ...metrics.result(), ...calibrated.result() },
    loss: rows.length === 0 ? 0 : loss / rows.length,
    collapsed: seen.size > 1 && metrics.predictedLabels === 1,
    ...(calibration.isOpen && { tuned }),
    ...(remarks.length > 0 && { remarks }),
  };
}

/** Multiple choice, for the registry. */
export const multipleChoiceFamily: TaskFamily = family<
  ChoiceExample,
  MultipleChoiceOptions,
  MultipleChoiceOptions
>({
  type: "multiple-choice",
  title: "one of several alternatives per text",
  reads: "choices",
  hasPresets: true,
  settings: z.strictObject({ ...headSettings, ...calibrationSettings }),
  saved: z.strictObject({ ...headSettings, ...calibrationSettings }),
  fits: (examples) => examples.every(({ choices }) => choices !== undefined),
  resolve: (settings) => settings,
  create: (options) => multipleChoice(options) as Task,
  sample: {},
});
