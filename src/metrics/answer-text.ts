/**
 * Comparison of answers as texts, as SQuAD's official script does it in Python.
 */

import { greatest } from "../core/index.ts";

const punctuation = /[!-/:-@[-`{-~]/g;

/** Word boundaries of Python's `re`, where letters and numbers of all scripts are word characters. */
const articles = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu;

/** What Python's `str.split()` splits at: not quite JavaScript's `\s`. */
const whitespace =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts the separators U+001C to U+001F.
  /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/**
 * An answer's words as they are compared: lower case, without ASCII punctuation, without the articles "a", "an"
 * and "the", split at whitespace.
 *
 * @example
 * answerWords("The  Beatles' 2nd album"); // ["beatles", "2nd", "album"]
 */
export function answerWords(text: string): string[] {
  return text
    .toLowerCase()
    .replace(punctuation, "")
    .replace(articles, " ")
    .split(whitespace)
    .filter((word) => word !== "");
}

/** How well one answer text fits, 0 … 1. */
export interface AnswerScore {
  /** 1 where the words are the same, else 0. */
  readonly exactMatch: number;
  /** F1 of the words as multisets; where one side has no words, 1 if the other has none either. */
  readonly f1: number;
}

/** Scores of a predicted text: the best over all gold texts, for each score on its own. */
export function answerScore(predicted: string, gold: readonly string[]): AnswerScore {
  const words = answerWords(predicted);
  const scores = gold.map((text) => wordsScore(words, answerWords(text)));
  return {
    exactMatch: greatest([0, ...scores.map(({ exactMatch }) => exactMatch)]),
    f1: greatest([0, ...scores.map(({ f1 }) => f1)]),
  };
}

function wordsScore(predicted: readonly string[], gold: readonly string[]): AnswerScore {
  const exactMatch = predicted.join(" ") === gold.join(" ") ? 1 : 0;
  if (predicted.length === 0 || gold.length === 0) return { exactMatch, f1: exactMatch };
  const left = new Map<string, number>();
  for (const word of gold) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of predicted) {
    const count = left.get(word) ?? 0;
    if (count > 0) common++;
    left.set(word, count - 1);
  }
  return { exactMatch, f1: (2 * common) / (predicted.length + gold.length) };
}
