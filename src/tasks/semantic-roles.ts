import * as z from "zod";
import { closest, PtuningError } from "../core/index.ts";
import type { RoleExample } from "../data/index.ts";
import { type Head, type TokenHeadOptions, tokenHead } from "../heads/index.ts";
import type { Tokenizer } from "../text/index.ts";
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
import { type EncodedWords, roomFor, type SentenceLayout, type SentencePieces } from "./word-windows.ts";
import { spanLabels, wordTask } from "./words.ts";

/**
 * How the model learns which predicate is asked about: `word` repeats the predicate's word behind the sentence, as
 * the reference implementation does; `token-type` gives the predicate's tokens type 1, which also tells two
 * predicates of the same word apart but needs a backbone with two token types.
 */
export type PredicateMarking = "word" | "token-type";

/** Settings of semantic role labelling. */
export interface SemanticRoleOptions extends WordTaskOptions, TokenHeadOptions {
  /** Default `word`. */
  readonly predicateMarking?: PredicateMarking;
}

/** One role of a predicate. */
export interface Role {
  readonly role: string;
  /** Its words, joined by blanks. */
  readonly text: string;
  /** Words `start` … `end` − 1 of the sentence. */
  readonly start: number;
  readonly end: number;
  /** Mean probability of its words' tags. */
  readonly score: number;
}

/** The roles of one predicate. */
export interface RolePrediction {
  /** Number of the predicate's word. */
  readonly predicate: number;
  /** A tag for each word, in the task's scheme; the predicate's own `V` included. */
  readonly tags: readonly string[];
  /** Without the predicate's own `V`. */
  readonly roles: readonly Role[];
}

/** Type of the span that is the predicate itself. */
const predicateType = "V";

/** A predicate that is repeated behind the sentence takes at most this share of the room. */
const predicateShare = 1 / 4;

interface Marking {
  readonly head: (head: Head) => Head;
  layout(
    example: RoleExample,
    pieces: SentencePieces,
    tokenizer: Tokenizer,
    maxLength: number,
  ): SentenceLayout;
}

const markings: { readonly [M in PredicateMarking]: Marking } = {
  word: {
    head: (head) => head,
    layout({ predicate }, { ids, wordIds }, tokenizer, maxLength) {
      const room = roomFor(maxLength, tokenizer.addedTokens.pair);
      const whole = ids.filter((_, token) => wordIds[token] === predicate);
      const word = whole.subarray(0, Math.floor(room * predicateShare));
      return {
        room: room - word.length,
        truncated: word.length < whole.length,
        assemble(start, end) {
          const input = tokenizer.assemble(ids.subarray(start, end), word);
          // The reference gives no token types: the repeated word is no second sentence.
          return { ...input, typeIds: new Uint8Array(input.ids.length) };
        },
      };
    },
  },
  "token-type": {
    head: (head) => ({
      ...head,
      initialize(config, rng) {
        if (config.typeVocabSize >= 2) return head.initialize(config, rng);
        throw new PtuningError(
          "OPTION_INVALID",
          `predicateMarking: token-type needs a backbone with two token types, this ${config.modelType} has ${config.typeVocabSize}.`,
          { hint: "Use predicateMarking: word." },
        );
      },
    }),
    layout: ({ predicate }, { ids, wordIds }, tokenizer, maxLength) => ({
      room: roomFor(maxLength, tokenizer.addedTokens.single),
      truncated: false,
      assemble(start, end) {
        const input = tokenizer.assemble(ids.subarray(start, end));
        for (let token = start; token < end; token++) {
          if (wordIds[token] === predicate) input.typeIds[input.firstStart + token - start] = 1;
        }
        return input;
      },
    }),
  },
};

/**
 * Semantic roles: one example per predicate, a tag for each word of its sentence. Scored with the predicate's own
 * `V` (`f1`, as the reference implementation) and without it (`f1WithoutV`).
 *
 * @throws OPTION_INVALID if the labels are not IOB2 tags, or there is no such marking
 * @example
 * semanticRoles({ labels: ["O", "B-V", "I-V", "B-ARG0", "I-ARG0"] }).options.predicateMarking; // "word"
 */
export function semanticRoles(
  options: SemanticRoleOptions,
): Task<RoleExample, EncodedWords & { examples: readonly RoleExample[] }, RolePrediction> {
  const { headDropout, predicateMarking = "word", ...rest } = options;
  const marking = Object.hasOwn(markings, predicateMarking) ? markings[predicateMarking] : undefined;
  if (marking === undefined) {
    const names = Object.keys(markings);
    const near = closest(predicateMarking, names);
    throw new PtuningError(
      "OPTION_INVALID",
      `predicateMarking: expected one of ${names.join(", ")}, got "${predicateMarking}".`,
      { ...(near !== undefined && { hint: `Did you mean "${near}"?` }) },
    );
  }
  return wordTask<RoleExample, RolePrediction>(rest, {
    type: "semantic-roles",
    reads: "roles",
    options: { predicateMarking },
    head: marking.head(tokenHead(options.labels.length, headDropout === undefined ? {} : { headDropout })),
    scores: [
      ...["f1", "precision", "recall"],
      ...["f1WithoutV", "precisionWithoutV", "recallWithoutV"],
      "tagAccuracy",
    ],
    scoresOf(metrics) {
      const { f1, precision, recall } = metrics.report({ without: [predicateType] }).micro;
      return {
        ...metrics.result(),
        ...{ f1WithoutV: f1, precisionWithoutV: precision, recallWithoutV: recall },
      };
    },
    check({ words, predicate }) {
      if (Number.isInteger(predicate) && predicate >= 0 && predicate < words.length) return;
      throw new PtuningError(
        "DATA_INVALID",
        `predicate: expected the number of one of ${words.length} words, got ${predicate}.`,
      );
    },
    layout: marking.layout,
    prediction: ({ words, predicate }, { tags, spans }) => ({
      predicate,
      tags,
      roles: spans
        .filter(({ type }) => type !== predicateType)
        .map(({ type, start, end, score }) => ({
          role: type,
          text: words.slice(start, end).join(" "),
          ...{ start, end, score },
        })),
    }),
    blank: { predicate: null, tags: [], roles: [] },
    columns: () => [
      { title: "predicate" },
      { title: "role" },
      { title: "text" },
      { title: "score", digits: scoreDigits },
      { title: "words" },
    ],
    tabulate: ({ words }, { predicate, roles }) =>
      roles.map(({ role, text, score, start, end }) => ({
        predicate: words[predicate]!,
        role,
        text,
        score,
        words: `${start}–${end - 1}`,
      })),
  });
}

const settings = z.strictObject({
  ...wordSettings,
  predicateMarking: z
    .enum(["word", "token-type"])
    .exactOptional()
    .describe("repeat the predicate's word behind the sentence, or give it token type 1"),
});

/** Semantic role labelling, for the registry. */
export const semanticRolesFamily: TaskFamily = family<
  RoleExample,
  WordSettings & Pick<SemanticRoleOptions, "headDropout" | "predicateMarking">,
  SemanticRoleOptions
>({
  type: "semantic-roles",
  title: "which words play which role for a predicate",
  reads: "roles",
  hasPresets: true,
  settings,
  saved: settings.extend({ ...savedWordSettings, labels: savedLabels }),
  fits: (examples) => examples.every(({ tags }) => tags !== undefined),
  resolve: (settings, { train }) => ({ labels: spanLabels(train), ...resolveWords(settings, train) }),
  create: (options) => semanticRoles(options) as Task,
  sample: { labels: ["O", "B-V", "I-V"] },
});
