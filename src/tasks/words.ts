/**
 * What all tasks on words have in common: a tag for every word, learnt on the word's first token and read from the
 * window where that token has most context.
 *
 * Legend: B batch, S sequence, C tags.
 */
import { floats, lazyMap, PtuningError } from "../core/index.ts";
import {
  decodeTags,
  type ExampleKind,
  encodeSpans,
  type ReadOptions,
  type TagScheme,
  type TypedSpan,
} from "../data/portable.ts";
import type { Head } from "../heads/index.ts";
import { type Scores, SpanMetrics } from "../metrics/index.ts";
import { crossEntropy } from "../nn/index.ts";
import type { Tokenizer } from "../text/index.ts";
import { argmax } from "./logits.ts";
import type { AnswerColumn, Decoder, Evaluator, TableRow, Task } from "./task.ts";
import { checkWordOptions, plainWeight, type WordTaskOptions, waysOf } from "./word-options.ts";
import { wordReviewer } from "./word-review.ts";
import { ChosenTags, type TagChoice, wordLogSum } from "./word-tags.ts";
import {
  answeredWords,
  type EncodedWords,
  labelledWords,
  layOutSentences,
  type SentenceLayout,
  type SentencePieces,
} from "./word-windows.ts";

/** A sentence in words with a tag for each, as all tasks on words see it. */
export interface TaggedWords {
  readonly words: readonly string[];
  readonly tags?: readonly string[];
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
  /** How files must be read for it. */
  readonly reading?: ReadOptions;
  columns(detailed: boolean): readonly AnswerColumn[];
  tabulate(example: E, prediction: P, detailed: boolean): readonly TableRow[];
  /** As {@link Task.blank}. */
  readonly blank: Task["blank"];
}

/** Encoded words with the examples themselves, which predictions refer to. */
interface EncodedSentences<E> extends EncodedWords {
  readonly examples: readonly E[];
}

/**
 * A task on words from what tells it from others.
 * @throws OPTION_INVALID naming the option
 */
export function wordTask<E extends TaggedWords, P>(
  options: WordTaskOptions,
  kind: WordKind<E, P>,
): Task<E, EncodedSentences<E>, P> {
  const { labels, scheme, stride, decoding, transitions, transitionWeight } = checkWordOptions(options);
  const { type, reads, head, scores } = kind;
  const numLabels = labels.length;
  const index = new Map(labels.map((label, i) => [label, i]));
  const { ways, weights, usual } = waysOf({ labels, decoding, transitions, transitionWeight });
  const choice = { labels, ways: [usual] };
  return {
    type,
    options: {
      ...{ labels, scheme, stride },
      // What adapters lack is argmax: those from before there was a choice hold the same as these.
      ...(decoding !== "argmax" && { decoding }),
      ...(transitions !== undefined && { transitions, transitionWeight }),
      ...kind.options,
      ...head.options,
    },
    reads,
    head,
    scores,
    selectBy: "f1",
    async encode(examples, tokenizer, maxLength) {
      for (const example of examples) {
        kind.check?.(example);
        normalised(example);
      }
      const gold = lazyMap(examples, normalised);
      const words = lazyMap(examples, (example) => example.words);
      const pieces = await tokenizer.encodeWords(words);
      const layout = layOutSentences(examples, pieces, stride, (example, own) =>
        kind.layout(example, own, tokenizer, maxLength),
      );
      const numbers = new Int32Array(layout.wordStarts[examples.length]!).fill(-1);
      for (const [i, tags = []] of gold.entries()) {
        for (const [word, tag] of tags.entries())
          numbers[layout.wordStarts[i]! + word] = index.get(tag) ?? -1;
      }
      return { ...layout, labels: numbers, gold, examples };
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
    evaluator: (encoded) => wordEvaluator(encoded, { labels, ways }, weights, kind),
    decoder: (encoded) => wordDecoder(encoded, choice, scheme, kind),
    reviewer: (encoded) => wordReviewer(encoded, choice),
    ...(weights.length > 0 && {
      tune: (found: Readonly<Record<string, unknown>>) =>
        wordTask({ ...options, transitionWeight: plainWeight, ...found }, kind),
    }),
    trivial: () => ({
      name: "O for every word",
      logits(_, { rows, length }) {
        const outside = labels.map((label) => Number(label === "O"));
        return Array.from({ length: rows.length * length }, () => outside).flat();
      },
    }),
    ...(kind.reading && { reading: kind.reading }),
    ...(kind.fromText && { fromText: (text: string) => kind.fromText!(text) }),
    blank: kind.blank,
    columns: (detailed) => kind.columns(detailed),
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

/** @param weights of counted transitions, by the ways of choosing; none where nothing is tuned */
function wordEvaluator<E extends TaggedWords, P>(
  encoded: EncodedWords,
  choice: TagChoice,
  weights: readonly number[],
  kind: WordKind<E, P>,
): Evaluator {
  let [loss, count] = [0, 0];
  const tags = new ChosenTags(encoded, choice, (word, _, logits, at) => {
    const gold = encoded.labels[word]!;
    if (gold < 0) return;
    loss += wordLogSum(logits, at, choice.labels.length) - logits[at + gold]!;
    count++;
  });
  return {
    add: (output) => tags.add(output),
    result() {
      tags.finish();
      const scored = choice.ways.map((_, way) => {
        const metrics = new SpanMetrics();
        for (const [i, gold] of encoded.gold.entries()) {
          if (gold !== undefined) metrics.add(tags.of(i, way), gold);
        }
        return kind.scoresOf(metrics);
      });
      const best = argmax(scored.map(({ f1 }) => f1!));
      return {
        scores: scored[best]!,
        loss: count === 0 ? 0 : loss / count,
        collapsed: tags.isCollapsed(best),
        ...(weights.length > 0 && count > 0 && { tuned: { transitionWeight: weights[best]! } }),
      };
    },
  };
}

function wordDecoder<E extends TaggedWords, P>(
  encoded: EncodedSentences<E>,
  choice: TagChoice,
  scheme: TagScheme,
  kind: WordKind<E, P>,
): Decoder<P> {
  const probabilities = new Float64Array(encoded.wordStarts.at(-1)!).fill(1);
  const tags = new ChosenTags(encoded, choice, (word, tag, logits, at) => {
    probabilities[word] = Math.exp(logits[at + tag]! - wordLogSum(logits, at, choice.labels.length));
  });
  return {
    add: (output) => tags.add(output),
    finish() {
      tags.finish();
      return encoded.examples.map((example, i) => {
        const first = encoded.wordStarts[i]!;
        const spans = decodeTags(tags.of(i)).map((span) => {
          const own = probabilities.subarray(first + span.start, first + span.end);
          return { ...span, score: own.reduce((sum, p) => sum + p, 0) / own.length };
        });
        return kind.prediction(example, { tags: encodeSpans(spans, example.words.length, scheme), spans });
      });
    },
  };
}
