/**
 * Sentences in words as windows of tokens, and where in them each word is read.
 *
 */
import { PtuningError } from "../core/index.ts";
import {
  type Assembled,
  SequenceCollector,
  tokenWindows,
  type WordPieces,
  windowWithMostContext,
} from "../text/portable.ts";
import type { Encoded } from "./task.ts";

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

/** Cuts sentences into windows and finds out which window answers for which word. */
export function layOutSentences<E extends { readonly words: readonly string[] }>(
  examples: readonly E[],
  pieces: WordPieces,
  stride: number,
  layoutOf: (example: E, own: SentencePieces) => SentenceLayout,
): Pick<
  EncodedWords,
  "count" | "sequences" | "owners" | "wordStarts" | "answerStarts" | "answered" | "positions"
> {
  const collected = new SequenceCollector(examples.length);
  const wordStarts = new Int32Array(examples.length + 1);
  const owners: number[] = [];
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
      owners.push(i);
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
    owners: Int32Array.from(owners),
    wordStarts,
    answerStarts: Int32Array.from(answerStarts),
    answered: Int32Array.from(answered),
    positions: Int32Array.from(positions),
  };
}

/** The words that a sequence answers for, and the positions of their first tokens. */
export function* answeredWords(
  encoded: EncodedWords,
  row: number,
): Generator<readonly [word: number, position: number]> {
  const { answerStarts, answered, positions } = encoded;
  for (let i = answerStarts[row]!; i < answerStarts[row + 1]!; i++) yield [answered[i]!, positions[i]!];
}

/** How many of the words that a sequence answers for have a gold tag to learn. */
export function labelledWords(encoded: EncodedWords, row: number): number {
  let count = 0;
  for (const [word] of answeredWords(encoded, row)) if (encoded.labels[word]! >= 0) count++;
  return count;
}
