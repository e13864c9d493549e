import type { SpecialRole } from "./definition.ts";
import type { TextPieces, WordPieces } from "./pieces.ts";
import type { TokenSequences } from "./sequences.ts";
import type { Template } from "./template.ts";

/** One text, or the two texts of a pair. */
export type TextInput = string | readonly [first: string, second: string];

/**
 * Ids of the special tokens that a backbone's vocabulary has. `start` opens an answer to a gap, where the backbone says what
 * stands in a gap not at the mask but there: {@link encodeCloze} puts it in front.
 */
export type SpecialTokens = { readonly [R in SpecialRole | "start"]?: number };

/** Turns texts into the token ids of one backbone. */
export interface Tokenizer extends Template {
  readonly specialTokens: SpecialTokens;
  /**
   * Encodes with the backbone's special tokens; a pair that is too long loses tokens from its longer text.
   * @param maxLength greatest number of tokens per example, special tokens included
   * @param signal ends the work with its reason, as in the two below
   */
  encode(texts: readonly TextInput[], maxLength: number, signal?: AbortSignal): Promise<TokenSequences>;
  /**
   * Encodes texts that come split into words, whole and without special tokens: each word by itself, as in running
   * text (with a blank in front where the vocabulary knows of blanks).
   */
  encodeWords(sentences: readonly (readonly string[])[], signal?: AbortSignal): Promise<WordPieces>;
  /** Encodes texts whole and without special tokens, with the place of each token in its text. */
  encodeTexts(texts: readonly string[], signal?: AbortSignal): Promise<TextPieces>;
}

/** The tokenizer for as long as nobody aborts: then it throws the signal's reason, also in the midst of many texts. */
export function abortableTokenizer(tokenizer: Tokenizer, signal: AbortSignal): Tokenizer {
  return {
    ...tokenizer,
    encode: (texts, maxLength) => tokenizer.encode(texts, maxLength, signal),
    encodeWords: (sentences) => tokenizer.encodeWords(sentences, signal),
    encodeTexts: (texts) => tokenizer.encodeTexts(texts, signal),
  };
}

/**
 * How many tokens of two texts are kept: the longer one gives first, as `LongestFirst` in the Python library (the
 * library below this binding gives the odd token of two long texts to the second one).
 */
export function longestFirst(first: number, second: number, limit: number): readonly [number, number] {
  if (first + second <= limit) return [first, second];
  const shorter = Math.min(first, second, Math.floor(limit / 2));
  return first > second ? [limit - shorter, shorter] : [shorter, limit - shorter];
}
