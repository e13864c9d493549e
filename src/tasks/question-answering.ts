/** Legend: B batch, S sequence. */
import * as z from "zod";
import { floats, PtuningError } from "../core/index.ts";
import type { AnswerExample } from "../data/index.ts";
import { spanHead, type TokenHeadOptions } from "../heads/index.ts";
import { AnswerMetrics, type Scores } from "../metrics/index.ts";
import { positionCrossEntropy } from "../nn/index.ts";
import { tokenCount } from "../text/portable.ts";
import { reviewAnswers } from "./answer-review.ts";
import { bestSpans, mergeSpans, type ScoredSpan, spanLoss, windowLogits } from "./answer-spans.ts";
import { answerTable } from "./answer-table.ts";
import { type EncodedAnswers, encodeAnswers, noPosition } from "./answer-windows.ts";
import { family, type TaskFamily } from "./family.ts";
import { softmax } from "./logits.ts";
import type { Reviewer } from "./review.ts";
import type { Decoder, Evaluator, HeadOutput, Task } from "./task.ts";

/** Settings of extractive question answering. */
export interface QuestionAnsweringOptions extends TokenHeadOptions {
  /**
   * Whether a passage may not answer its question (SQuAD 2.0); without, some stretch of it is always the answer
   * (SQuAD 1.1). Default false; {@link hasAnswerless} tells it from data.
   */
  readonly answerless?: boolean;
  /** Tokens that neighbouring windows of a long passage share, as transformers counts. Default 128. */
  readonly stride?: number;
  /** Whether a passage has token type 1, on backbones with two. Default true; PEFT's prefix tuning drops them. */
  readonly tokenTypes?: boolean;
  /** Greatest number of tokens in an answer. Default 30. */
  readonly maxAnswerLength?: number;
  /** How many answers a prediction lists. Default 20. */
  readonly nBest?: number;
  /**
   * No answer is given where "no answer" beats the best answer by more than this, in logits. `tuned` takes what
   * gives the best F1 on dev. Default 0.
   */
  readonly nullThreshold?: number | "tuned";
}

/** A stretch of a passage as an answer. */
export interface AnswerSpan {
  readonly text: string;
  /** `[start, end)` in the passage, as JavaScript string indices. */
  readonly start: number;
  readonly end: number;
  /** Probability among the answers that are listed, and "no answer" where that is possible. */
  readonly score: number;
}

/** The answer to one question: its text is `""` and its offsets are −1 where the passage has none. */
export interface QuestionAnswer extends AnswerSpan {
  readonly id: string;
  /**
   * By how much "no answer" beats the best answer, in logits; above the threshold there is none. Only where the
   * task knows of questions without answer.
   */
  readonly noAnswerScore?: number;
  /** Best answers first; "no answer" is not among them. */
  readonly nBest: readonly AnswerSpan[];
}

type Resolved = Required<Omit<QuestionAnsweringOptions, "headDropout">>;

const defaults: Resolved = {
  answerless: false,
  stride: 128,
  tokenTypes: true,
  maxAnswerLength: 30,
  nBest: 20,
  nullThreshold: 0,
};

/**
 * 384 as everywhere since Devlin et al. 2019: longer windows cut fewer passages in two, so that there are fewer tokens
 * in all (a tenth fewer in SQuAD). Passes of 16 take as much memory as passes of 32 with 256 tokens.
 */
const trainingDefaults = { maxLength: 384, microBatchSize: 16 } as const;

const alwaysScores = ["exactMatch", "f1"];
const answerlessScores = ["hasAnswerExactMatch", "hasAnswerF1", "noAnswerExactMatch", "noAnswerF1"];

/** Whether some example says that its passage does not answer. */
export function hasAnswerless(examples: Iterable<AnswerExample>): boolean {
  for (const { answers } of examples) if (answers?.length === 0) return true;
  return false;
}

/**
 * The stretch of a passage that answers a question: a linear layer scores each token as first and as last of the
 * answer; see Devlin et al. 2019, section 4.2. Long passages are cut into overlapping windows; a window without the
 * answer points to its first token, `[CLS]`. All tokens of a window compete, the question's too, as in transformers;
 * padding does not, so that a loss does not depend on the rest of its batch.
 *
 * @throws OPTION_INVALID naming the option
 * @example
 * questionAnswering().options.maxAnswerLength; // 30
 */
export function questionAnswering(
  options: QuestionAnsweringOptions = {},
): Task<AnswerExample, EncodedAnswers, QuestionAnswer> {
  const { headDropout, ...given } = options;
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const settings: Resolved = { ...defaults, ...known };
  const { answerless, nullThreshold } = settings;
  checkOptions(settings);
  const head = spanHead(headDropout === undefined ? {} : { headDropout });
  return {
    type: "question-answering",
    options: { ...settings, ...head.options },
    reads: "answers",
    head,
    scores: answerless ? [...alwaysScores, ...answerlessScores] : alwaysScores,
    selectBy: "f1",
    defaults: trainingDefaults,
    encode: (examples, tokenizer, maxLength) =>
      encodeAnswers(examples, tokenizer, { maxLength, ...settings }),
    weight: ({ starts }, rows) => rows.reduce((sum, row) => sum + (starts[row] === noPosition ? 0 : 1), 0),
    targets(encoded, { rows, length }) {
      const batch = rows.length;
      const targets = floats([length, batch, 2], new Float32Array(length * batch * 2));
      const kept = floats([length, batch], new Float32Array(length * batch));
      for (const [b, row] of rows.entries()) {
        const tokens = tokenCount(encoded.sequences, row);
        for (let s = 0; s < tokens; s++) kept.data[s * batch + b] = 1;
        if (encoded.starts[row] === noPosition) continue;
        targets.data[(encoded.starts[row]! * batch + b) * 2] = 0.5;
        targets.data[(encoded.ends[row]! * batch + b) * 2 + 1] = 0.5;
      }
      return { targets, kept };
    },
    loss: (b, logits) =>
      positionCrossEntropy(
        b,
        logits,
        b.input("targets", "float32", ["S", "B", 2]),
        b.input("kept", "float32", ["S", "B"]),
      ),
    evaluator: (encoded) => answerEvaluator(encoded, settings),
    decoder: (encoded) => answerDecoder(encoded, settings),
    reviewer: (encoded) => answerReviewer(encoded, settings),
    ...(nullThreshold === "tuned" && {
      tune: (found) =>
        questionAnswering({
          ...options,
          nullThreshold: Number(found.nullThreshold ?? defaults.nullThreshold),
        }),
    }),
    // Where nothing else is scored, the first token of a window is "no answer" or, as one, the best stretch of the passage.
    trivial: () => ({
      name: answerless ? "no answer for every question" : "first word of every passage",
      logits: (_, { rows, length }) =>
        Array.from({ length: length * rows.length * 2 }, (_, i) => Number(answerless && i < rows.length * 2)),
    }),
    fromText(question, context) {
      if (context !== undefined) return { id: "", question, context };
      throw new PtuningError("DATA_INVALID", "question: expected a passage beside it, got none.", {
        hint: "Give the passage as the second text of the pair.",
      });
    },
    ...answerTable(answerless),
  };
}

function checkOptions({ stride, maxAnswerLength, nBest, nullThreshold }: Resolved): void {
  const invalid = (key: string, expected: string, got: unknown): PtuningError =>
    new PtuningError("OPTION_INVALID", `${key}: expected ${expected}, got ${String(got)}.`);
  const positive = { maxAnswerLength, nBest };
  for (const [key, value] of Object.entries(positive)) {
    if (!Number.isInteger(value) || value < 1) throw invalid(key, "a whole number above 0", value);
  }
  if (!Number.isInteger(stride) || stride < 0) throw invalid("stride", "a number of tokens", stride);
  if (nullThreshold !== "tuned" && !Number.isFinite(nullThreshold)) {
    throw invalid("nullThreshold", 'a number or "tuned"', nullThreshold);
  }
}

/** What the windows of a question have said. */
interface Verdict {
  readonly spans: readonly ScoredSpan[];
  /** Least score of "no answer" over the windows; infinite where the question had none. */
  readonly nullLogit: number;
}

/** Gathers the best spans of every window, question by question. */
class Verdicts {
  readonly #encoded: EncodedAnswers;
  readonly #settings: Resolved;
  readonly #spans: ScoredSpan[][][];
  readonly #nulls: Float64Array;
  /** Losses of each question's labelled windows. */
  readonly #losses: number[][];

  constructor(encoded: EncodedAnswers, settings: Resolved) {
    this.#encoded = encoded;
    this.#settings = settings;
    this.#spans = Array.from({ length: encoded.count }, () => []);
    this.#losses = Array.from({ length: encoded.count }, () => []);
    this.#nulls = new Float64Array(encoded.count).fill(Number.POSITIVE_INFINITY);
  }

  /** @returns the loss of the pass's labelled windows, summed, and their number */
  add(output: HeadOutput): { readonly loss: number; readonly count: number } {
    const { sequences, owners, places, starts, ends } = this.#encoded;
    const { maxAnswerLength, nBest } = this.#settings;
    let [loss, count] = [0, 0];
    for (const [b, row] of output.rows.entries()) {
      const logits = windowLogits(output.logits, output, b, tokenCount(sequences, row));
      const owner = owners[row]!;
      this.#spans[owner]!.push(bestSpans(logits, places[row]!, maxAnswerLength, nBest));
      this.#nulls[owner] = Math.min(this.#nulls[owner]!, logits.start(0) + logits.end(0));
      if (starts[row] === noPosition) continue;
      const own = spanLoss(logits, starts[row]!, ends[row]!);
      this.#losses[owner]!.push(own);
      loss += own;
      count++;
    }
    return { loss, count };
  }

  /** Mean loss of a question's labelled windows. */
  lossOf(question: number): number {
    const losses = this.#losses[question]!;
    return losses.reduce((sum, loss) => sum + loss, 0) / Math.max(1, losses.length);
  }

  of(question: number): Verdict {
    return {
      spans: mergeSpans(this.#spans[question]!, this.#settings.nBest),
      nullLogit: this.#nulls[question]!,
    };
  }
}

/** The answer before a threshold is applied. */
function answerOf(
  encoded: EncodedAnswers,
  question: number,
  { spans, nullLogit }: Verdict,
  answerless: boolean,
): Pick<QuestionAnswer, "nBest" | "noAnswerScore"> & { readonly nullScore: number } {
  const { context } = encoded.examples[question]!;
  const { charStarts, charEnds } = encoded.contexts[question]!;
  const logits = [...spans.map(({ logit }) => logit), ...(answerless ? [nullLogit] : [])];
  const probabilities = logits.length === 0 ? [] : softmax(logits);
  const nBest = spans.map((span, i) => {
    const piece = context.slice(charStarts[span.start]!, charEnds[span.end]!);
    const text = piece.trim();
    // Tokens of some vocabularies begin with the blank in front of their word.
    const start = charStarts[span.start]! + piece.length - piece.trimStart().length;
    return { text, start, end: start + text.length, score: probabilities[i]! };
  });
  const best = spans[0]?.logit ?? Number.NEGATIVE_INFINITY;
  return {
    nBest,
    nullScore: answerless ? probabilities.at(-1)! : 0,
    ...(answerless && { noAnswerScore: Math.min(nullLogit - best, Number.MAX_VALUE) }),
  };
}

function answerDecoder(encoded: EncodedAnswers, settings: Resolved): Decoder<QuestionAnswer> {
  const verdicts = new Verdicts(encoded, settings);
  const { answerless } = settings;
  const threshold = settings.nullThreshold === "tuned" ? 0 : settings.nullThreshold;
  return {
    add: (output) => void verdicts.add(output),
    finish: () =>
      encoded.examples.map(({ id }, i) => {
        const { nullScore, ...answer } = answerOf(encoded, i, verdicts.of(i), answerless);
        const best = answer.nBest[0];
        const isNull = best === undefined || (answer.noAnswerScore ?? Number.NEGATIVE_INFINITY) > threshold;
        return { id, ...(isNull ? { text: "", start: -1, end: -1, score: nullScore } : best), ...answer };
      }),
  };
}

function answerReviewer(encoded: EncodedAnswers, settings: Resolved): Reviewer {
  const verdicts = new Verdicts(encoded, settings);
  const threshold = settings.nullThreshold === "tuned" ? 0 : settings.nullThreshold;
  const { answerless } = settings;
  return {
    add: (output) => void verdicts.add(output),
    finish() {
      const questions = encoded.examples.flatMap(({ question, answers }, index) => {
        if (answers === undefined) return [];
        const { nBest, noAnswerScore } = answerOf(encoded, index, verdicts.of(index), answerless);
        const isNull = (noAnswerScore ?? Number.NEGATIVE_INFINITY) > threshold;
        const gold = [...new Set(answers.map(({ text }) => text))];
        return [{ index, question, predicted: (isNull ? undefined : nBest[0]?.text) ?? "", gold }];
      });
      return {
        ...reviewAnswers(questions, answerless),
        examples: questions.map(({ index, predicted, gold }) => ({
          index,
          loss: verdicts.lossOf(index),
          gold: gold.includes(predicted) ? predicted : gold.join(" / ") || "no answer",
          predicted: predicted || "no answer",
        })),
      };
    },
  };
}

function answerEvaluator(encoded: EncodedAnswers, settings: Resolved): Evaluator {
  const verdicts = new Verdicts(encoded, settings);
  const { answerless, nullThreshold } = settings;
  let [loss, count] = [0, 0];
  return {
    add(output) {
      const added = verdicts.add(output);
      loss += added.loss;
      count += added.count;
    },
    result() {
      const answers = encoded.examples.flatMap(({ answers: gold }, i) => {
        if (gold === undefined) return [];
        const { nBest, noAnswerScore } = answerOf(encoded, i, verdicts.of(i), answerless);
        const predicted = {
          text: nBest[0]?.text ?? "",
          ...(noAnswerScore !== undefined && { noAnswerScore }),
        };
        return [{ predicted, gold: gold.map(({ text }) => text) }];
      });
      const scored = (threshold: number): Scores => {
        const metrics = new AnswerMetrics(threshold);
        for (const { predicted, gold } of answers) metrics.add(predicted, gold);
        return metrics.result();
      };
      const isTuned = answerless && nullThreshold === "tuned" && answers.length > 0;
      const threshold = isTuned
        ? scored(0).bestF1Threshold!
        : Number(nullThreshold === "tuned" ? 0 : nullThreshold);
      const scores = scored(threshold);
      const isEmpty = ({
        predicted: { text, noAnswerScore = Number.NEGATIVE_INFINITY },
      }: (typeof answers)[0]): boolean => text === "" || noAnswerScore > threshold;
      return {
        scores: Object.fromEntries(
          (answerless ? [...alwaysScores, ...answerlessScores] : alwaysScores).map((name) => [
            name,
            scores[name] ?? 0,
          ]),
        ),
        loss: count === 0 ? 0 : loss / count,
        collapsed: answers.some(({ gold }) => gold.length > 0) && answers.every(isEmpty),
        ...(isTuned && { tuned: { nullThreshold: threshold } }),
      };
    },
  };
}

const settings = z.strictObject({
  headDropout: z
    .union([z.number().min(0).lt(1), z.literal("hidden")])
    .exactOptional()
    .describe("dropout before the linear layer"),
  answerless: z
    .boolean()
    .exactOptional()
    .describe("whether a passage may not answer its question; default: what the data says"),
  stride: z
    .int()
    .nonnegative()
    .exactOptional()
    .describe("tokens that neighbouring windows of a passage share"),
  tokenTypes: z
    .boolean()
    .exactOptional()
    .describe("whether a passage has token type 1, on backbones with two"),
  maxAnswerLength: z
    .int()
    .positive()
    .max(100_000)
    .exactOptional()
    .describe("greatest number of tokens in an answer"),
  nBest: z.int().positive().max(1000).exactOptional().describe("how many answers a prediction lists"),
  nullThreshold: z
    .union([z.number(), z.literal("tuned")])
    .exactOptional()
    .describe("by how much no answer must beat the best one, in logits; tuned: the best on dev"),
});

/** Extractive question answering, for the registry. */
export const questionAnsweringFamily: TaskFamily = family<
  AnswerExample,
  QuestionAnsweringOptions,
  QuestionAnsweringOptions
>({
  type: "question-answering",
  title: "the stretch of a passage that answers a question",
  reads: "answers",
  settings,
  saved: settings,
  fits: (examples) => examples.every(({ answers }) => answers !== undefined),
  resolve: (settings, { train, dev }) => ({
    answerless: hasAnswerless(train) || hasAnswerless(dev),
    ...settings,
  }),
  create: (options) => questionAnswering(options) as Task,
  sample: {},
});
