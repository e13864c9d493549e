/** Legend: B batch, C outputs of the head. What all tasks on one text or pair share. */
import * as z from "zod";
import { floats, lazyMap, type TensorMap } from "../core/index.ts";
import type { TextExample } from "../data/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { Head } from "../heads/index.ts";
import type { TextInput, Tokenizer, TokenSequences } from "../text/index.ts";
import type { Review, ReviewedExample } from "./review.ts";
import type {
  AnswerColumn,
  Encoded,
  Evaluation,
  HeadOutput,
  LinearView,
  TableRow,
  Task,
  TrivialAnswer,
  TunedOptions,
} from "./task.ts";

/** Keys of every task whose head pools a text to one vector. */
export const headSettings: z.core.$ZodLooseShape = {
  pooling: z
    .enum(["mean", "cls", "pooler", "layers"])
    .exactOptional()
    .describe("how a text becomes one vector"),
  headDropout: z
    .union([z.number().min(0).lt(1), z.literal("hidden")])
    .exactOptional()
    .describe("dropout before the linear layer"),
};

/** What adapters hold of such heads beside their settings. */
export const savedHead: z.core.$ZodLooseShape = { blend: z.boolean().exactOptional() };

/** Texts as tokens, with the gold answer of each. */
export interface EncodedTexts<G> extends Encoded {
  /** Gold answer of each example, in the units of the loss; see {@link TextKind.unlabelled}. */
  readonly labels: ArrayLike<G>;
  readonly examples: readonly TextExample[];
}

/** How texts become sequences. */
export interface TextSequences {
  /** Sequences of each text, whose logits add up to the text's. */
  readonly perText: number;
  encode(texts: readonly TextInput[], tokenizer: Tokenizer, maxLength: number): Promise<TokenSequences>;
}

/** One sequence per text, as the tokenizer has it. */
const plainSequences: TextSequences = {
  perText: 1,
  encode: (texts, tokenizer, maxLength) => tokenizer.encode(texts, maxLength),
};

/** Gathers what scores need, text by text. */
interface TextScorer<G> {
  /** @param logits of the example, `[C]` */
  add(row: number, logits: ArrayLike<number>, gold: G): void;
  result(): Pick<Evaluation, "scores" | "collapsed">;
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
  extends Pick<
    Task,
    "type" | "options" | "scores" | "selectBy" | "lowerIsBetter" | "sideScores" | "pseudoTokens"
  > {
  readonly head: Head;
  /** Default: one sequence per text, as the tokenizer has it. */
  readonly sequences?: TextSequences;
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
  /**
   * Finds the options that suit some labelled examples best, such as a threshold: a function of these alone. Absent where no
   * option is left open.
   */
  search?(answers: readonly TextAnswer<G>[]): Pick<Evaluation, "tuned" | "remarks">;
  /** @param tuned what was found for the examples that are scored; nothing where no option is left open */
  scorer(encoded: EncodedTexts<G>, tuned: TunedOptions): TextScorer<G>;
  predict(logits: ArrayLike<number>): P;
  /** Changes predictions by what others of the same call were. @param logits of each example */
  compare?(predictions: P[], encoded: EncodedTexts<G>, logits: readonly ArrayLike<number>[]): P[];
  /** Columns of a table before the text, by their titles. */
  columns(detailed: boolean): readonly AnswerColumn[];
  cells(prediction: P, detailed: boolean): TableRow;
  /** As {@link Task.blank}. */
  readonly blank: Task["blank"];
  /** A gold answer and a prediction as texts, for reports. */
  describe(gold: G, prediction: P): Pick<ReviewedExample, "gold" | "predicted">;
  /** What a report shows of all labelled examples beside that. */
  summarize?(answers: readonly TextAnswer<G>[]): Partial<Omit<Review, "examples">>;
  tune?(options: TunedOptions): Task<TextExample, EncodedTexts<G>, P>;
  trivial?(train: EncodedTexts<G>): TrivialAnswer<EncodedTexts<G>>;
  readonly linear?: LinearView<EncodedTexts<G>>;
}

/** A task on one text or pair of texts from what is its own. */
export function textTask<G, P>(kind: TextKind<G, P>): Task<TextExample, EncodedTexts<G>, P> {
  const { type, options, head, scores, selectBy, lowerIsBetter, sideScores, pseudoTokens, width } = kind;
  const { sequences: maker = plainSequences } = kind;
  const weightOf = (gold: G): number => (kind.isLabelled(gold) ? kind.weight(gold) : 0);
  return {
    type,
    options,
    reads: "text",
    head,
    scores,
    selectBy,
    ...(lowerIsBetter && { lowerIsBetter }),
    ...(sideScores && { sideScores }),
    ...(pseudoTokens && { pseudoTokens }),
    async encode(examples, tokenizer, maxLength) {
      const goldOf = (example: TextExample): G => kind.gold(example) ?? kind.unlabelled;
      // Looked at once for what is wrong with them, and again where they are asked for: lists of millions take memory.
      for (const example of examples) goldOf(example);
      const labels = lazyMap(examples, goldOf);
      const texts = lazyMap(
        examples,
        ({ text, pair }): TextInput => (pair === undefined ? text : [text, pair]),
      );
      const sequences = await maker.encode(texts, tokenizer, maxLength);
      const { length: count } = examples;
      const perText = sequences.count / Math.max(1, count);
      if (perText <= 1) return { count, sequences, labels, examples };
      const itemStarts = Int32Array.from({ length: count + 1 }, (_, i) => i * perText);
      return { count, sequences, itemStarts, labels, examples };
    },
    weight: (encoded, rows) =>
      textsOf(encoded, rows).reduce((sum, text) => sum + weightOf(encoded.labels[text]!), 0),
    targets(encoded, { rows }): TensorMap {
      const texts = textsOf(encoded, rows);
      const targets = new Float32Array(texts.length * width);
      const weights = new Float32Array(texts.length);
      for (const [n, text] of texts.entries()) {
        const gold = encoded.labels[text]!;
        weights[n] = weightOf(gold);
        if (weights[n] !== 0) kind.target(targets.subarray(n * width, (n + 1) * width), gold);
      }
      return {
        targets: { dtype: "float32", shape: [texts.length, width], data: targets },
        "target.weights": { dtype: "float32", shape: [texts.length, 1], data: weights },
        ...(encoded.itemStarts && { "target.sequences": membership(texts.length, rows.length) }),
      };
    },
    loss(b, logits) {
      if (maker.perText === 1) {
        const targets = b.input("targets", "float32", ["B", width]);
        return kind.loss(b, logits, targets, b.input("target.weights", "float32", ["B", 1]));
      }
      const targets = b.input("targets", "float32", ["N", width]);
      const weights = b.input("target.weights", "float32", ["N", 1]);
      const members = b.input("target.sequences", "float32", ["N", "B"]);
      return kind.loss(b, b.op("MatMul", [members, logits]), targets, weights);
    },
    evaluator(encoded) {
      const scorer = kind.search ? searchingScorer(kind, encoded) : kind.scorer(encoded, {});
      const whole = wholeTexts(encoded, width);
      let [loss, weight] = [0, 0];
      return {
        add(output) {
          for (const [text, logits] of whole(output)) {
            const gold = encoded.labels[text]!;
            if (!kind.isLabelled(gold)) continue;
            scorer.add(text, logits, gold);
            const share = kind.weight(gold);
            loss += share * kind.lossOf(logits, gold);
            weight += share;
          }
        },
        result: () => ({ ...scorer.result(), loss: weight === 0 ? 0 : loss / weight }),
      };
    },
    decoder(encoded) {
      const outputs = new Array<number[]>(encoded.count);
      const whole = wholeTexts(encoded, width);
      return {
        add(output) {
          for (const [text, logits] of whole(output)) outputs[text] = logits;
        },
        finish() {
          const predictions = outputs.map((logits) => kind.predict(logits));
          return kind.compare?.(predictions, encoded, outputs) ?? predictions;
        },
      };
    },
    reviewer(encoded) {
      const whole = wholeTexts(encoded, width);
      const answers: TextAnswer<G>[] = [];
      const examples: ReviewedExample[] = [];
      return {
        add(output) {
          for (const [index, logits] of whole(output)) {
            const gold = encoded.labels[index]!;
            if (!kind.isLabelled(gold)) continue;
            answers.push({ logits, gold });
            const loss = kind.lossOf(logits, gold);
            examples.push({ index, loss, ...kind.describe(gold, kind.predict(logits)) });
          }
        },
        finish: () => ({ matrices: [], tables: [], ...kind.summarize?.(answers), examples }),
      };
    },
    ...(kind.tune && { tune: (tuned) => kind.tune!(tuned) }),
    ...(kind.trivial && { trivial: (train) => kind.trivial!(train) }),
    ...(kind.linear && { linear: kind.linear }),
    ...(kind.compare && { comparesExamples: true }),
    blank: kind.blank,
    columns: (detailed) => [...kind.columns(detailed), { title: "text" }],
    fromText: (text, pair) => ({ text, ...(pair !== undefined && { pair }) }),
    tabulate: ({ text, pair }, prediction, detailed) => [
      { ...kind.cells(prediction, detailed), text: pair === undefined ? text : `${text} | ${pair}` },
    ],
  };
}

/** Keeps the answers, finds the options that suit them, and scores them with these. */
function searchingScorer<G, P>(
  kind: TextKind<G, P>,
  encoded: EncodedTexts<G>,
): Pick<TextScorer<G>, "add"> & { result(): Omit<Evaluation, "loss"> } {
  const answers: (TextAnswer<G> & { readonly row: number })[] = [];
  return {
    add: (row, logits, gold) => void answers.push({ row, logits: Array.from(logits), gold }),
    result() {
      const { tuned = {}, remarks = [] } = kind.search!(answers);
      const scorer = kind.scorer(encoded, tuned);
      for (const { row, logits, gold } of answers) scorer.add(row, logits, gold);
      return { ...scorer.result(), tuned, ...(remarks.length > 0 && { remarks }) };
    },
  };
}

/** The same logits for every example. */
export function constantAnswer<N extends Encoded>(name: string, logits: readonly number[]): TrivialAnswer<N> {
  return { name, logits: (_, { rows }) => Array.from(rows, () => logits).flat() };
}

/** Number of sequences of each text. */
function perText<G>({ sequences, count }: EncodedTexts<G>): number {
  return sequences.count / Math.max(1, count);
}

/** The texts of a pass in training, whose sequences stand together. */
function textsOf<G>(encoded: EncodedTexts<G>, rows: Int32Array): Int32Array {
  if (encoded.itemStarts === undefined) return rows;
  const each = perText(encoded);
  return Int32Array.from({ length: rows.length / each }, (_, n) => rows[n * each]! / each);
}

/** `[N, B]`: 1 where a sequence is one of the text. */
function membership(texts: number, sequences: number): TensorMap[string] {
  const each = sequences / texts;
  const own = (i: number): number => Number(Math.floor((i % sequences) / each) === Math.floor(i / sequences));
  return floats(
    [texts, sequences],
    Array.from({ length: texts * sequences }, (_, i) => own(i)),
  );
}

/** Adds up the logits of each text's sequences; gives those of the texts that a pass completes. */
function wholeTexts<G>(
  encoded: EncodedTexts<G>,
  width: number,
): (output: HeadOutput) => Iterable<[text: number, logits: number[]]> {
  const rowOf = (logits: ArrayLike<number>, b: number): number[] =>
    Array.from({ length: width }, (_, i) => logits[b * width + i]!);
  if (encoded.itemStarts === undefined) {
    return ({ rows, logits }) => Array.from(rows, (row, b) => [row, rowOf(logits, b)]);
  }
  const each = perText(encoded);
  const open = new Map<number, { readonly sum: number[]; missing: number }>();
  return function* ({ rows, logits }) {
    for (const [b, row] of rows.entries()) {
      const text = Math.floor(row / each);
      const known = open.get(text) ?? { sum: new Array<number>(width).fill(0), missing: each };
      open.set(text, known);
      for (const [i, value] of rowOf(logits, b).entries()) known.sum[i]! += value;
      known.missing--;
      if (known.missing > 0) continue;
      open.delete(text);
      yield [text, known.sum];
    }
  };
}
