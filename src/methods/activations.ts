/**
 * Prompts that start as keys and values of real tokens: behind the projections, which is the space that deep prompts
 * enter. A prompt position takes one token through all layers, so that its layers fit each other; a mean over many
 * tokens would be a vector that no text has.
 *
 * Legend: P prompt length, k prompted layers, L layers, E hidden size.
 */
import { PtuningError, type Rng, type Tensor } from "../core/index.ts";
import { type Tokenizer, type TokenSequences, tokenCount } from "../text/portable.ts";
import type { Parameter, StartingPoint } from "./method.ts";

/** Makes `count` rows of keys and values at all layers, `[count, 2·L·E]`. */
type Rows = (from: StartingPoint, count: number) => Promise<Tensor<"float32">>;

/** Different words of the training texts, from different texts as far as there are enough. */
const sampledWords: Rows = async (from, count) => {
  const { texts, rng, tokenizer } = from;
  const tokens = texts === undefined ? [] : sampleWords(texts, count, rng, tokenizer);
  if (tokens.length < count) {
    throw new PtuningError(
      "OPTION_INVALID",
      `init: expected at least ${count} words of training texts for activations, got ${tokens.length}.`,
      { hint: "Choose init normal, or a smaller promptLength." },
    );
  }
  return from.keysAndValues(texts!, tokens);
};

/** The labels, each the mean over its pieces, and behind them sampled words. */
const labelWords: Rows = async (from, count) => {
  const { labels, tokenizer, rng } = from;
  if (labels.length === 0) {
    throw new PtuningError("OPTION_INVALID", "init: expected a task with labels for labels, got none.", {
      hint: "Choose init activations.",
    });
  }
  const encoded = await tokenizer.encode(labels, longestLabel);
  const words = labels
    .map((_, label) => wordsOf(encoded, label, tokenizer))
    .filter(({ length }) => length > 0)
    .slice(0, count);
  const { data, shape } = await from.keysAndValues(encoded, words.flat());
  const width = shape[1]!;
  const rows = new Float32Array(count * width);
  let piece = 0;
  for (const [row, { length }] of words.entries()) {
    for (let i = 0; i < length; i++, piece++) {
      for (let j = 0; j < width; j++) rows[row * width + j]! += data[piece * width + j]! / length;
    }
  }
  if (words.length < count) {
    const others = await sampledWords({ ...from, rng: rng.split("behind labels") }, count - words.length);
    rows.set(others.data, words.length * width);
  }
  return { dtype: "float32", shape: [count, width], data: rows };
};

/** Tokens of a label that are read; only a text by mistake is longer. */
const longestLabel = 32;

/** Starts of a prompt matrix that come from the backbone itself. */
export const activationStarts: { readonly [I in "activations" | "labels"]: Rows } = {
  activations: sampledWords,
  labels: labelWords,
};

/**
 * A prompt matrix `[P, 2·k·E]` that starts from keys and values.
 * @param layers the prompted layers, 0-based
 */
export function fromActivations(
  shape: readonly [length: number, width: number],
  layers: readonly number[],
  rowsOf: Rows,
): Parameter {
  return {
    shape,
    async start(from) {
      const [length, width] = shape;
      const { data, shape: whole } = await rowsOf(from, length);
      const stretch = 2 * from.config.keyWidth;
      const matrix = new Float32Array(length * width);
      for (let row = 0; row < length; row++) {
        for (const [i, layer] of layers.entries()) {
          const start = row * whole[1]! + layer * stretch;
          matrix.set(data.subarray(start, start + stretch), row * width + i * stretch);
        }
      }
      return { dtype: "float32", shape, data: matrix };
    },
  };
}

/** Places of different words: one of every text in turn, in random order, until there are enough. */
function sampleWords(texts: TokenSequences, count: number, rng: Rng, tokenizer: Tokenizer): number[] {
  const order = rng.shuffle(Int32Array.from({ length: texts.count }, (_, text) => text));
  const taken: number[] = [];
  for (let round = 0; taken.length < count; round++) {
    const before = taken.length;
    for (const text of order) {
      if (taken.length === count) break;
      // The same order in each round, so that no word comes twice.
      const words = rng.split(text).shuffle(wordsOf(texts, text, tokenizer));
      if (round < words.length) taken.push(words[round]!);
    }
    if (taken.length === before) break;
  }
  return taken;
}

/** Places of the tokens of a text that are not special ones. */
function wordsOf(sequences: TokenSequences, text: number, { specialTokens }: Tokenizer): number[] {
  const { cls, sep, pad, mask, start } = specialTokens;
  const places: number[] = [];
  for (let i = 0; i < tokenCount(sequences, text); i++) {
    const place = sequences.starts[text]! + i;
    if (![cls, sep, pad, mask, start].includes(sequences.ids[place]!)) places.push(place);
  }
  return places;
}
