import * as z from "zod";
import { lazyMap } from "../core/index.ts";
import { detectTagScheme, formerCut, splitWords, type TokenExample, type WordCut } from "../data/portable.ts";
import { type TokenHeadOptions, tokenHead } from "../heads/index.ts";
import { scoreDigits } from "./answer-columns.ts";
import { family, savedLabels, type TaskFamily } from "./family.ts";
import type { Task } from "./task.ts";
import {
  resolveWords,
  savedWordSettings,
  type WordSettings,
  type WordTaskOptions,
  wordSettings,
} from "./word-options.ts";
import { type EncodedWords, roomFor } from "./word-windows.ts";
import { spanLabels, type TaggedSpans, wordTask } from "./words.ts";

/** Settings of token classification. */
export interface TokenClassificationOptions extends WordTaskOptions, TokenHeadOptions {
  /**
   * How plain texts are cut into words: as those that were learnt from. Default: at blanks and punctuation, without
   * dictionaries.
   */
  readonly cut?: WordCut;
}

/** A span of words that was found, and where. */
export interface Entity {
  readonly text: string;
  readonly type: string;
  /** Words `start` … `end` − 1 of the sentence. */
  readonly start: number;
  readonly end: number;
  /**
   * `[start, end)` in the example's text, as JavaScript string indices; where it has none, in its words joined by
   * blanks.
   */
  readonly offsets: readonly [start: number, end: number];
  /** Mean probability of its words' tags. */
  readonly score: number;
}

/** What was found in one sentence. */
export interface TokenPrediction {
  /** A tag for each word, in the task's scheme. */
  readonly tags: readonly string[];
  readonly entities: readonly Entity[];
}

/**
 * A tag for each word of a sentence, and the spans that the tags spell: named entities, slots. A linear head on the
 * first token of each word; the word's other tokens do not count. Long sentences are cut into overlapping windows.
 *
 * @throws OPTION_INVALID if the labels are not IOB2 tags
 * @example
 * tokenClassification({ labels: ["O", "B-Loc", "I-Loc"] }).options.scheme; // "IOB2"
 */
export function tokenClassification(
  options: TokenClassificationOptions,
): Task<TokenExample, EncodedWords & { examples: readonly TokenExample[] }, TokenPrediction> {
  const { headDropout, cut = formerCut, ...rest } = options;
  return wordTask<TokenExample, TokenPrediction>(rest, {
    type: "token-classification",
    reads: "tokens",
    options: options.cut === undefined ? {} : { cut },
    reading: { cut },
    head: tokenHead(options.labels.length, headDropout === undefined ? {} : { headDropout }),
    scores: ["f1", "precision", "recall", "tagAccuracy"],
    scoresOf: (metrics) => metrics.result(),
    layout: (_, { ids }, tokenizer, maxLength) => ({
      room: roomFor(maxLength, tokenizer.addedTokens.single),
      truncated: false,
      assemble: (start, end) => tokenizer.assemble(ids.subarray(start, end)),
    }),
    prediction: (example, { tags, spans }) => ({ tags, entities: entitiesOf(example, spans) }),
    fromText: (text) => fromText(text, cut),
    blank: { tags: [], entities: [] },
    columns: () => [
      { title: "entity" },
      { title: "type" },
      { title: "score", digits: scoreDigits },
      { title: "words" },
      { title: "characters" },
    ],
    tabulate: (_, { entities }) =>
      entities.map(({ text, type, score, start, end, offsets }) => ({
        entity: text,
        type,
        score,
        words: `${start}–${end - 1}`,
        characters: `${offsets[0]}–${offsets[1] - 1}`,
      })),
  });
}

function entitiesOf(
  { words, text = words.join(" "), offsets = joinedOffsets(words) }: TokenExample,
  spans: TaggedSpans["spans"],
): Entity[] {
  return spans.map(({ type, start, end, score }) => {
    const range = [offsets[start]![0], offsets[end - 1]![1]] as const;
    return { text: text.slice(...range), type, start, end, offsets: range, score };
  });
}

/** Where words stand in their text when blanks join them. */
function joinedOffsets(words: readonly string[]): [start: number, end: number][] {
  let at = 0;
  return words.map((word) => {
    const start = at;
    at += word.length + 1;
    return [start, start + word.length];
  });
}

/** A plain text as the readers of character spans cut it. */
function fromText(text: string, cut: WordCut): TokenExample {
  const offsets = splitWords(text, cut);
  return { text, words: offsets.map(([start, end]) => text.slice(start, end)), offsets };
}

const affixes = z.array(z.string().min(1).max(100)).max(10_000).exactOptional();

/** How texts are cut into words, in a configuration and in an adapter. */
export const wordCutSchema: z.ZodType<WordCut> = z.strictObject({
  at: z.enum(["runs", "words", "characters"]),
  endings: affixes,
  beginnings: affixes,
});

/** Token classification, for the registry. */
export const tokenClassificationFamily: TaskFamily = family<
  TokenExample,
  WordSettings & TokenHeadOptions,
  TokenClassificationOptions
>({
  type: "token-classification",
  title: "a tag for each word: entities, slots",
  reads: "tokens",
  hasPresets: true,
  settings: z.strictObject(wordSettings),
  saved: z.strictObject({ ...savedWordSettings, labels: savedLabels, cut: wordCutSchema.exactOptional() }),
  fits: (examples) => examples.every(({ tags }) => tags !== undefined),
  resolve: (settings, { train, table }) => ({
    ...(table?.cut !== undefined && { cut: table.cut as WordCut }),
    labels: spanLabels(train),
    scheme: detectTagScheme(lazyMap(train, ({ tags = [] }) => tags)) ?? "IOB2",
    ...resolveWords(settings, train),
  }),
  create: (options) => tokenClassification(options) as Task,
  sample: { labels: ["O", "B-a", "I-a"] },
});
