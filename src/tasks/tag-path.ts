/**
 * The tags of a sentence from what the head says of its words.
 *
 * Legend: N words of a sentence, C tags.
 */
import type { TagRules } from "../data/portable.ts";

/**
 * How tags are chosen: `constrained` takes the sequence with the greatest probability among those that the scheme
 * allows; `argmax` the best tag of each word by itself, whatever stands beside it.
 */
export type TagDecoding = "constrained" | "argmax";

/** Numbers of a sentence, `[N, C]`. */
export type WordScores = Float32Array | Float64Array;

/** Chooses a tag for each of the first `count` words of `logits`, and writes it to `chosen`. */
export type TagChooser = (logits: WordScores, count: number, chosen: Int32Array) => void;

/** How each {@link TagDecoding} chooses. */
export const tagChoosers: {
  readonly [D in TagDecoding]: (width: number, rules: TagRules) => TagChooser;
} = {
  argmax: (width) => (logits, count, chosen) => bestTags(logits, width, count, chosen),
  constrained(width, rules) {
    const isAllowed = allowance(width, rules);
    const search = new PathSearch(width, rules);
    return (logits, count, chosen) => {
      bestTags(logits, width, count, chosen);
      // The best tags of all words are the best sequence, where it is one.
      if (!isAllowed(chosen, count)) search.run(logits, count, chosen);
    };
  },
};

/** Index of the best of a word's tags; the first where several are. */
export function bestTag(logits: WordScores, from: number, width: number): number {
  let found = 0;
  for (let tag = 1; tag < width; tag++) if (logits[from + tag]! > logits[from + found]!) found = tag;
  return found;
}

function bestTags(logits: WordScores, width: number, count: number, chosen: Int32Array): void {
  for (let word = 0; word < count; word++) chosen[word] = bestTag(logits, word * width, width);
}

/** Tells whether the rules allow a sequence of tags. */
function allowance(
  width: number,
  { opening, closing, within }: TagRules,
): (chosen: Int32Array, count: number) => boolean {
  const [opens, closes] = [opening, closing].map((tags) => {
    const marks = new Uint8Array(width);
    for (const tag of tags) marks[tag] = 1;
    return marks;
  }) as [Uint8Array, Uint8Array];
  return (chosen, count) => {
    if (count === 0) return true;
    for (let word = 1; word < count; word++) {
      const [before, tag] = [chosen[word - 1]!, chosen[word]!];
      if (opens[tag] === 1 && closes[before] === 1) continue;
      if (!within[before]!.includes(tag)) return false;
    }
    return opens[chosen[0]!] === 1 && closes[chosen[count - 1]!] === 1;
  };
}

/** How far a tag may lie behind the best one of its word: sums over any sentence stay finite. */
const furthest = -1e30;

/** A logit beside the greatest one of its word, at most 0. What is no number, or infinitely far behind, stays out of the sums. */
export function shortfall(logit: number, top: number): number {
  if (logit === top) return 0;
  if (logit - top > furthest) return logit - top;
  return furthest;
}

/**
 * Viterbi's search for the best sequence that the rules allow, from the last word to the first. Of several best it takes
 * the one with the lower tag at the first word where they differ.
 */
class PathSearch {
  readonly #width: number;
  readonly #rules: TagRules;
  readonly #closes: Uint8Array;
  /** `[N, C]`: the score of the best end of the sentence that begins with a tag at a word. */
  #ends = new Float64Array(0);

  constructor(width: number, rules: TagRules) {
    this.#width = width;
    this.#rules = rules;
    this.#closes = new Uint8Array(width);
    for (const tag of rules.closing) this.#closes[tag] = 1;
  }

  /** Leaves `chosen` as it is where no sequence of this length is allowed. */
  run(logits: WordScores, count: number, chosen: Int32Array): void {
    const width = this.#width;
    if (this.#ends.length < count * width) this.#ends = new Float64Array(count * width);
    for (let word = count - 1; word >= 0; word--) this.#addWord(logits, word, count);
    const { opening, within } = this.#rules;
    let tag = this.#best(opening, 0);
    if (tag < 0) return;
    chosen[0] = tag;
    for (let word = 1; word < count; word++) {
      const inside = this.#best(within[tag]!, word);
      const outside = this.#closes[tag] === 1 ? this.#best(opening, word) : -1;
      tag = this.#better(inside, outside, word);
      chosen[word] = tag;
    }
  }

  #addWord(logits: WordScores, word: number, count: number): void {
    const [width, ends, closes] = [this.#width, this.#ends, this.#closes];
    const { opening, within } = this.#rules;
    const [from, isLast] = [word * width, word === count - 1];
    const top = logits[from + bestTag(logits, from, width)]!;
    const first = isLast ? -1 : this.#best(opening, word + 1);
    const fresh = isLast ? 0 : first < 0 ? Number.NEGATIVE_INFINITY : ends[from + width + first]!;
    for (let tag = 0; tag < width; tag++) {
      let rest = closes[tag] === 1 ? fresh : Number.NEGATIVE_INFINITY;
      if (!isLast) {
        for (const next of within[tag]!) rest = Math.max(rest, ends[from + width + next]!);
      }
      ends[from + tag] = rest + shortfall(logits[from + tag]!, top);
    }
  }

  /** The tag among `tags` with the best end from a word on; −1 where none has one. */
  #best(tags: readonly number[], word: number): number {
    const [from, ends] = [word * this.#width, this.#ends];
    let [best, found] = [Number.NEGATIVE_INFINITY, -1];
    for (const tag of tags) {
      const end = ends[from + tag]!;
      if (end > best) [best, found] = [end, tag];
    }
    return found;
  }

  #better(a: number, b: number, word: number): number {
    if (a < 0 || b < 0) return Math.max(a, b);
    const [endOfA, endOfB] = [this.#ends[word * this.#width + a]!, this.#ends[word * this.#width + b]!];
    return endOfA === endOfB ? Math.min(a, b) : endOfA > endOfB ? a : b;
  }
}
