/**
 * What all tasks on words have in common: a tag for every word, learnt on the word's first token and read from the
 * window where that token has most context.
 *
 * Legend: B batch, S sequence, C tags.
 */
import * as z from "zod";
import { floats, PtuningError } from "../core/index.ts";
import { decodeTags, type ExampleKind, encodeSpans, type TagScheme, type TypedSpan } from "../data/index.ts";
import type { Head } from "../heads/index.ts";
import { type Scores, SpanMetrics } from "../metrics/index.ts";
import { crossEntropy } from "../nn/index.ts";
import {
  type Assembled,
  SequenceCollector,
  type Tokenizer,
  tokenWindows,
  type WordPieces,
  windowWithMostContext,
} from "../text/index.ts";
import { argmax, logSumExp } from "./logits.ts";
import type { Decoder, Encoded, Evaluator, TableRow, Task } from "./task.ts";
import { answeredWords, ChosenTags, wordLogits } from "./word-logits.ts";
import { wordReviewer } from "./word-review.ts";

/** Options of every task on words. */
export interface WordTaskOptions {
  /** The tags that are learnt, in IOB2 and in the order of the logits: `O`, `B-…`, `I-…`; see {@link spanLabels}. */
  readonly labels: readonly string[];
  /** How predicted tags are written; gold tags may be in any scheme. Default IOB2. */
  readonly scheme?: TagScheme;
  /** Tokens that neighbouring windows of a long sentence share. Default 32. */
  readonly stride?: number;
}

/** A sentence in words with a tag for each, as all tasks on words see it. */
export interface TaggedWords {
  readonly words: readonly string[];
  readonly tags?: readonly string[];
}

/** How the sentence of one example is laid out as model inputs. */
export interface SentenceLayout {
  /** The greatest number of the sentence's tokens in one input. */
  readonly room: number;
  /** Whether something beside the sentence was cut to make room. */
  readonly truncated: boolean;
  /** Puts everything else around the tokens `start` … `end` − 1 of the sentence. */
  assemble(start: number, end: number): Pick<Assembled, "ids" | "typeIds" | "firstStart">;
}

/** The tokens of one sentence. */
export interface SentencePieces {
  readonly ids: Int32Array;
  /** For each token the index of its word. */
  readonly wordIds: Int32Array;
}

/** What was found in one sentence. */
export interface TaggedSpans {
  /** A tag for each word, in the scheme of the task. */
  readonly tags: readonly string[];
  /** The spans that the tags spell, with the mean probability of their words' tags. */
  readonly spans: readonly (TypedSpan & { readonly score: number })[];
}

/** What tells one task on words from another. */
export interface WordKind<E extends TaggedWords, P> {
  readonly type: string;
  readonly reads: ExampleKind;
  /** Options beside those of every task on words. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly head: Head;
  readonly scores: readonly string[];
  scoresOf(metrics: SpanMetrics): Scores;
  /** @throws DATA_INVALID if the example does not fit the task */
  check?(example: E): void;
  layout(example: E, pieces: SentencePieces, tokenizer: Tokenizer, maxLength: number): SentenceLayout;
  prediction(example: E, found: TaggedSpans): P;
  fromText?(text: string): E;
  tabulate(example: E, prediction: P, detailed: boolean): readonly TableRow[];
}

/** Sentences as windows of tokens, and where in them each word is read. */
export interface EncodedWords extends Encoded {
  /** Example `i` has the words `wordStarts[i] … wordStarts[i + 1] − 1`. */
  readonly wordStarts: Int32Array;
  /** Number of each word's gold tag; −1 where there is none, or one that is not learnt. */
  readonly labels: Int32Array;
  /** Gold tags of each example in IOB2, also those that are not learnt; `undefined` where it has none. */
  readonly gold: readonly (readonly string[] | undefined)[];
  /** Sequence `i` answers for the words `answered[answerStarts[i]] … answered[answerStarts[i + 1] − 1]`. */
  readonly answerStarts: Int32Array;
  readonly answered: Int32Array;
  /** Position in its sequence of each answered word's first token. */
  readonly positions: Int32Array;
}

/** Encoded words with the examples themselves, which predictions refer to. */
interface EncodedSentences<E> extends EncodedWords {
  readonly examples: readonly E[];
}

const defaultStride = 32;

/** Keys of every task on words in a configuration. */
export const wordSettings: z.core.$ZodLooseShape = {
  headDropout: z
    .union([z.number().min(0).lt(1), z.literal("hidden")])
    .exactOptional()
    .describe("dropout before the linear layer"),
  scheme: z
    .enum(["IOB1", "IOB2", "IOBES", "BILOU"])
    .exactOptional()
    .describe("how predicted tags are written; gold tags may be in any scheme"),
  stride: z
    .int()
    .nonnegative()
    .exactOptional()
    .describe("tokens that neighbouring windows of a long sentence share"),
};

/**
 * A task on words from what tells it from others.
 * @throws OPTION_INVALID if the labels are not IOB2 tags, or the stride is no whole number
 */
export function wordTask<E extends TaggedWords, P>(
  options: WordTaskOptions,
  kind: WordKind<E, P>,
): Task<E, EncodedSentences<E>, P> {
  const { labels, scheme = "IOB2", stride = defaultStride } = options;
  const { type, reads, head, scores } = kind;
  const numLabels = labels.length;
  const index = new Map(labels.map((label, i) => [label, i]));
  checkOptions(labels, stride);
  return {
    type,
    options: { labels, scheme, stride, ...kind.options, ...head.options },
    reads,
    head,
    scores,
    selectBy: "f1",
    async encode(examples, tokenizer, maxLength) {
      const gold = examples.map((example) => {
        kind.check?.(example);
        return normalised(example);
      });
      const pieces = await tokenizer.encodeWords(examples.map(({ words }) => words));
      const labelOf = (tag: string): number => index.get(tag) ?? -1;
      return {
        ...layOut(examples, pieces, stride, (example, own) =>
          kind.layout(example, own, tokenizer, maxLength),
        ),
        labels: Int32Array.from(
          gold.flatMap(
            (tags, i) => tags?.map(labelOf) ?? new Array<number>(examples[i]!.words.length).fill(-1),
          ),
        ),
        gold,
        examples,
      };
    },
    weight: (encoded, rows) => rows.reduce((sum, row) => sum + labelledWords(encoded, row), 0),
    targets(encoded, { rows, length }) {
      const targets = floats(
        [length * rows.length, numLabels],
        new Float32Array(length * rows.length * numLabels),
      );
      for (const [b, row] of rows.entries()) {
        for (const [word, position] of answeredWords(encoded, row)) {
          const label = encoded.labels[word]!;
          if (label >= 0) targets.data[(position * rows.length + b) * numLabels + label] = 1;
        }
      }
      return { targets };
    },
    loss: (b, logits) =>
      crossEntropy(b, logits, b.input("targets", "float32", [logits.shape[0]!, numLabels])),
    evaluator: (encoded) => wordEvaluator(encoded, labels, kind),
    decoder: (encoded) => wordDecoder(encoded, labels, scheme, kind),
    reviewer: (encoded) => wordReviewer(encoded, labels),
    trivial: () => ({
      name: "O for every word",
      logits(_, { rows, length }) {
        const outside = labels.map((label) => Number(label === "O"));
        return Array.from({ length: rows.length * length }, () => outside).flat();
      },
    }),
    ...(kind.fromText && { fromText: (text: string) => kind.fromText!(text) }),
    tabulate: (example, prediction, detailed) => kind.tabulate(example, prediction, detailed),
  };
}

/**
 * The tags to learn from examples in any scheme: `O`, then `B-` and `I-` of every type, sorted.
 * @throws DATA_INVALID if a tag is of no scheme
 * @example
 * spanLabels([{ words: ["Paris"], tags: ["U-Loc"] }]); // ["O", "B-Loc", "I-Loc"]
 */
export function spanLabels(examples: Iterable<TaggedWords>): string[] {
  const types = new Set<string>();
  for (const { tags = [] } of examples) for (const { type } of decodeTags(tags)) types.add(type);
  return ["O", ...[...types].sort().flatMap((type) => [`B-${type}`, `I-${type}`])];
}

/**
 * Tokens per window that are left for a sentence.
 * @throws OPTION_INVALID if there is not one
 */
export function roomFor(maxLength: number, others: number): number {
  const room = maxLength - others;
  if (room >= 1) return room;
  throw new PtuningError(
    "OPTION_INVALID",
    `maxLength: expected at least ${others + 1} tokens, got ${maxLength}.`,
    { hint: `${others} tokens stand around each text.` },
  );
}

function checkOptions(labels: readonly string[], stride: number): void {
  const known = new Set(labels);
  const isTag = (label: string): boolean => label === "O" || /^[BI]-./.test(label);
  if (!known.has("O") || known.size < 2 || known.size !== labels.length || !labels.every(isTag)) {
    throw new PtuningError(
      "OPTION_INVALID",
      `labels: expected O and different tags B-… and I-…, got ${JSON.stringify(labels.slice(0, 10))}.`,
      { hint: "spanLabels makes them from tagged examples." },
    );
  }
  if (!Number.isInteger(stride) || stride < 0) {
    throw new PtuningError("OPTION_INVALID", `stride: expected a number of tokens, got ${stride}.`);
  }
}

function normalised({ words, tags }: TaggedWords): string[] | undefined {
  if (tags === undefined) return undefined;
  if (tags.length !== words.length) {
    throw new PtuningError(
      "DATA_INVALID",
      `tags: expected one for each of ${words.length} words, got ${tags.length}.`,
    );
  }
  return encodeSpans(decodeTags(tags), words.length, "IOB2");
}

/** Cuts sentences into windows and finds out which window answers for which word. */
function layOut<E extends TaggedWords>(
  examples: readonly E[],
  pieces: WordPieces,
  stride: number,
  layoutOf: (example: E, own: SentencePieces) => SentenceLayout,
): Pick<EncodedWords, "count" | "sequences" | "wordStarts" | "answerStarts" | "answered" | "positions"> {
  const collected = new SequenceCollector();
  const wordStarts = Int32Array.of(0, ...examples.map(() => 0));
  const answerStarts = [0];
  const answered: number[] = [];
  const positions: number[] = [];
  for (const [i, example] of examples.entries()) {
    const firstWord = wordStarts[i]!;
    wordStarts[i + 1] = firstWord + example.words.length;
    const [from, to] = [pieces.starts[i]!, pieces.starts[i + 1]!];
    const own = { ids: pieces.ids.subarray(from, to), wordIds: pieces.wordIds.subarray(from, to) };
    const { room, truncated, assemble } = layoutOf(example, own);
    const windows = tokenWindows(own.ids.length, room, stride);
    const words: [word: number, token: number][][] = windows.map(() => []);
    for (const [token, word] of own.wordIds.entries()) {
      if (word === own.wordIds[token - 1]) continue;
      words[windowWithMostContext(windows, token)]!.push([firstWord + word, token]);
    }
    for (const [number, { start, end }] of windows.entries()) {
      const { ids, typeIds, firstStart } = assemble(start, end);
      collected.add(ids, typeIds, truncated);
      for (const [word, token] of words[number]!) {
        answered.push(word);
        positions.push(firstStart + token - start);
      }
      answerStarts.push(answered.length);
    }
  }
  return {
    count: examples.length,
    sequences: collected.finish(),
    wordStarts,
    answerStarts: Int32Array.from(answerStarts),
    answered: Int32Array.from(answered),
    positions: Int32Array.from(positions),
  };
}

function labelledWords(encoded: EncodedWords, row: number): number {
  let count = 0;
  for (const [word] of answeredWords(encoded, row)) if (encoded.labels[word]! >= 0) count++;
  return count;
}

function wordEvaluator<E extends TaggedWords, P>(
  encoded: EncodedWords,
  labels: readonly string[],
  kind: WordKind<E, P>,
): Evaluator {
  const tags = new ChosenTags(encoded, labels);
  const [predicted, seen] = [new Set<number>(), new Set<number>()];
  let [loss, count] = [0, 0];
  return {
    add(output) {
      for (const [word, logits] of wordLogits(encoded, output, labels.length)) {
        const best = argmax(logits);
        tags.chosen[word] = best;
        const gold = encoded.labels[word]!;
        if (gold < 0) continue;
        loss += logSumExp(logits) - logits[gold]!;
        count++;
        predicted.add(best);
        seen.add(gold);
      }
    },
    result() {
      const metrics = new SpanMetrics();
      for (const [i, gold] of encoded.gold.entries()) if (gold !== undefined) metrics.add(tags.of(i), gold);
      return {
        scores: kind.scoresOf(metrics),
        loss: count === 0 ? 0 : loss / count,
        collapsed: seen.size > 1 && predicted.size === 1,
      };
    },
  };
}

function wordDecoder<E extends TaggedWords, P>(
  encoded: EncodedSentences<E>,
  labels: readonly string[],
  scheme: TagScheme,
  kind: WordKind<E, P>,
): Decoder<P> {
  const tags = new ChosenTags(encoded, labels);
  const probabilities = new Float64Array(tags.chosen.length).fill(1);
  return {
    add(output) {
      for (const [word, logits] of wordLogits(encoded, output, labels.length)) {
        const best = argmax(logits);
        tags.chosen[word] = best;
        probabilities[word] = Math.exp(logits[best]! - logSumExp(logits));
      }
    },
    finish: () =>
      encoded.examples.map((example, i) => {
        const first = encoded.wordStarts[i]!;
        const spans = decodeTags(tags.of(i)).map((span) => {
          const own = probabilities.subarray(first + span.start, first + span.end);
          return { ...span, score: own.reduce((sum, p) => sum + p, 0) / own.length };
        });
        return kind.prediction(example, { tags: encodeSpans(spans, example.words.length, scheme), spans });
      }),
  };
}
