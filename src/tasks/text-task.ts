/** Legend: B batch, C outputs of the head. What all tasks on one text or pair share. */
import * as z from "zod";
import type { TensorMap } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { Head } from "../heads/index.ts";
import type { TextInput } from "../text/index.ts";
import type { Review, ReviewedExample } from "./review.ts";
import type { Encoded, Evaluation, LinearView, TableRow, Task, TrivialAnswer } from "./task.ts";

/** Keys of every task whose head pools a text to one vector. */
export const headSettings: z.core.$ZodLooseShape = {
  pooling: z.enum(["mean", "cls", "pooler"]).exactOptional().describe("how a text becomes one vector"),
  headDropout: z
    .union([z.number().min(0).lt(1), z.literal("hidden")])
    .exactOptional()
    .describe("dropout before the linear layer"),
};

/** Texts as tokens, with the gold answer of each. */
export interface EncodedTexts<G> extends Encoded {
  /** Gold answer of each example, in the units of the loss; see {@link TextKind.unlabelled}. */
  readonly labels: ArrayLike<G>;
  readonly examples: readonly TextExample[];
}

/** Gathers what scores need, text by text. */
interface TextScorer<G> {
  /** @param logits of the example, `[C]` */
  add(row: number, logits: ArrayLike<number>, gold: G): void;
  result(): Omit<Evaluation, "loss">;
}

/** The outputs for one labelled example. */
interface TextAnswer<G> {
  /** `[C]`. */
  readonly logits: readonly number[];
  readonly gold: G;
}

/**
 * What tells tasks on texts apart: targets, loss, scores and answers.
 * @typeParam G gold answer @typeParam P prediction
 */
export interface TextKind<G, P>
  extends Pick<Task, "type" | "options" | "scores" | "selectBy" | "lowerIsBetter"> {
  readonly head: Head;
  /** C. */
  readonly width: number;
  /**
   * The gold answer, `undefined` where the example has none.
   * @throws DATA_INVALID
   */
  gold(example: TextExample): G | undefined;
  /** Stands for an answer that is not there. */
  readonly unlabelled: G;
  isLabelled(gold: G): boolean;
  /** Weight of a labelled example in the mean loss. */
  weight(gold: G): number;
  /** Writes the targets of one example of a pass. @param gold `undefined` where it has none: it must not count */
  target(into: Float32Array, gold: G): void;
  /**
   * The loss, summed over the batch by weight.
   * @param targets `[B, C]` @param weights `[B, 1]`: 0 where an example has no gold answer
   */
  loss(b: GraphBuilder, logits: Value, targets: Value, weights: Value): Value;
  /** The same of one example, unweighted, on the host. */
  lossOf(logits: ArrayLike<number>, gold: G): number;
  scorer(encoded: EncodedTexts<G>): TextScorer<G>;
  predict(logits: ArrayLike<number>): P;
  /** Changes predictions by what others of the same call were. @param logits of each example */
  compare?(predictions: P[], encoded: EncodedTexts<G>, logits: readonly ArrayLike<number>[]): P[];
  /** Columns of a table before the text. */
  cells(prediction: P, detailed: boolean): TableRow;
  /** A gold answer and a prediction as texts, for reports. */
  describe(gold: G, prediction: P): Pick<ReviewedExample, "gold" | "predicted">;
  /** What a report shows of all labelled examples beside that. */
  summarize?(answers: readonly TextAnswer<G>[]): Partial<Omit<Review, "examples">>;
  tune?(options: Readonly<Record<string, unknown>>): Task<TextExample, EncodedTexts<G>, P>;
  trivial?(train: EncodedTexts<G>): TrivialAnswer<EncodedTexts<G>>;
  readonly linear?: LinearView<EncodedTexts<G>>;
}

/** A task on one text or pair of texts from what is its own. */
export function textTask<G, P>(kind: TextKind<G, P>): Task<TextExample, EncodedTexts<G>, P> {
  const { type, options, head, scores, selectBy, lowerIsBetter, width } = kind;
  const weightOf = (gold: G): number => (kind.isLabelled(gold) ? kind.weight(gold) : 0);
  const rowOf = (logits: ArrayLike<number>, b: number): number[] =>
    Array.from({ length: width }, (_, i) => logits[b * width + i]!);
  return {
    type,
    options,
    reads: "text",
    head,
    scores,
    selectBy,
    ...(lowerIsBetter && { lowerIsBetter }),
    async encode(examples, tokenizer, maxLength) {
      const labels = examples.map((example) => kind.gold(example) ?? kind.unlabelled);
      const texts = examples.map(({ text, pair }): TextInput => (pair === undefined ? text : [text, pair]));
      const sequences = await tokenizer.encode(texts, maxLength);
      return { count: examples.length, sequences, labels, examples };
    },
    weight: ({ labels }, rows) => rows.reduce((sum, row) => sum + weightOf(labels[row]!), 0),
    targets({ labels }, { rows }): TensorMap {
      const targets = new Float32Array(rows.length * width);
      const weights = new Float32Array(rows.length);
      for (const [b, row] of rows.entries()) {
        weights[b] = weightOf(labels[row]!);
        if (weights[b] !== 0) kind.target(targets.subarray(b * width, (b + 1) * width), labels[row]!);
      }
      return {
        targets: { dtype: "float32", shape: [rows.length, width], data: targets },
        "target.weights": { dtype: "float32", shape: [rows.length, 1], data: weights },
      };
    },
    loss: (b, logits) =>
      kind.loss(
        b,
        logits,
        b.input("targets", "float32", ["B", width]),
        b.input("target.weights", "float32", ["B", 1]),
      ),
    evaluator(encoded) {
      const scorer = kind.scorer(encoded);
      let [loss, weight] = [0, 0];
      return {
        add({ rows, logits }) {
          for (const [b, row] of rows.entries()) {
            const gold = encoded.labels[row]!;
            if (!kind.isLabelled(gold)) continue;
            const own = rowOf(logits, b);
            scorer.add(row, own, gold);
            const share = kind.weight(gold);
            loss += share * kind.lossOf(own, gold);
            weight += share;
          }
        },
        result: () => ({ ...scorer.result(), loss: weight === 0 ? 0 : loss / weight }),
      };
    },
    decoder(encoded) {
      const outputs = new Array<number[]>(encoded.count);
      return {
        add({ rows, logits }) {
          for (const [b, row] of rows.entries()) outputs[row] = rowOf(logits, b);
        },
        finish() {
          const predictions = outputs.map((logits) => kind.predict(logits));
          return kind.compare?.(predictions, encoded, outputs) ?? predictions;
        },
      };
    },
    reviewer({ labels }) {
      const answers: TextAnswer<G>[] = [];
      const examples: ReviewedExample[] = [];
      return {
        add({ rows, logits }) {
          for (const [b, index] of rows.entries()) {
            const gold = labels[index]!;
            if (!kind.isLabelled(gold)) continue;
            const own = rowOf(logits, b);
            answers.push({ logits: own, gold });
            examples.push({ index, loss: kind.lossOf(own, gold), ...kind.describe(gold, kind.predict(own)) });
          }
        },
        finish: () => ({ matrices: [], tables: [], ...kind.summarize?.(answers), examples }),
      };
    },
    ...(kind.tune && { tune: (tuned) => kind.tune!(tuned) }),
    ...(kind.trivial && { trivial: (train) => kind.trivial!(train) }),
    ...(kind.linear && { linear: kind.linear }),
    fromText: (text, pair) => ({ text, ...(pair !== undefined && { pair }) }),
    tabulate: ({ text, pair }, prediction, detailed) => [
      { ...kind.cells(prediction, detailed), text: pair === undefined ? text : `${text} | ${pair}` },
    ],
  };
}

/** The same logits for every example. */
export function constantAnswer<N extends Encoded>(name: string, logits: readonly number[]): TrivialAnswer<N> {
  return { name, logits: (_, { rows }) => Array.from(rows, () => logits).flat() };
}
