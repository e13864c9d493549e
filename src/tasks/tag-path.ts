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
    const search = bestSequence(width, rules, allowedTransitions(width, rules));
    return (logits, count, chosen) => {
      bestTags(logits, width, count, chosen);
      // The best tags of all words are the best sequence, where it is one.
      if (!isAllowed(chosen, count)) search(logits, count, chosen);
    };
  },
};

/** Index of the best of a word's tags; the first where several are. */
function bestTag(logits: WordScores, from: number, width: number): number {
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
function shortfall(logit: number, top: number): number {
  if (logit === top) return 0;
  if (logit - top > furthest) return logit - top;
  return furthest;
}

/** What speaks for a tag behind another. Tags are numbers, `C` is the border of a sentence. */
export interface Transitions {
  /** `[C + 1, C + 1]`, the tag in front first: −∞ where the rules do not allow it. */
  readonly scores: Float64Array;
  /** `[C + 1]`: of an opening tag that is not among `seen`, the least that any behind a tag has; −∞ where none is allowed. */
  readonly unseen: Float64Array;
  /** For each tag those that may stand behind it with another score, the border left out. */
  readonly seen: readonly Int32Array[];
}

/** What the rules allow behind a tag. */
interface Following {
  /** The border included. */
  readonly tags: ReadonlySet<number>;
  /** Those that stand there only, in its span. */
  readonly inside: readonly number[];
  /** Whether a span, or the sentence, may end there. */
  readonly isOpen: boolean;
}

/** What the rules allow behind each tag, and behind the border, which is the last. */
export function followingTags(width: number, { opening, closing, within }: TagRules): readonly Following[] {
  return Array.from({ length: width + 1 }, (_, before) => {
    const inside = within[before] ?? [];
    const isOpen = before === width || closing.includes(before);
    const tags = new Set([...(isOpen ? opening : []), ...inside]);
    if (isOpen && before !== width) tags.add(width);
    return { tags, inside, isOpen };
  });
}

/** All that the rules allow is alike. */
function allowedTransitions(width: number, rules: TagRules): Transitions {
  const all = followingTags(width, rules);
  const columns = Array.from({ length: width + 1 }, (_, tag) => tag);
  const worth = (isAllowed: boolean): number => (isAllowed ? 0 : Number.NEGATIVE_INFINITY);
  return {
    scores: Float64Array.from(all.flatMap(({ tags }) => columns.map((tag) => worth(tags.has(tag))))),
    unseen: Float64Array.from(all, ({ isOpen }) => worth(isOpen)),
    seen: all.map(({ inside }) => Int32Array.from(inside)),
  };
}

/**
 * Viterbi's search for the sequence with the greatest sum of logits and of what speaks for its transitions, the borders of the
 * sentence included, from the last word to the first. Of several best it takes the one with the lower tag at the first word
 * where they differ.
 * @param edge C
 */
export function bestSequence(
  edge: number,
  { opening }: Pick<TagRules, "opening">,
  { scores, unseen, seen }: Transitions,
): TagChooser {
  const width = edge + 1;
  /** `[N, C]`: the score of the best end of the sentence that begins with a tag at a word. */
  let ends = new Float64Array(0);
  /** The best end from a word on behind each tag. Those that are not seen have one score, the least: one maximum serves all tags. */
  const addEnds = (word: number, logits: WordScores, isLast: boolean): void => {
    const [from, next] = [word * edge, (word + 1) * edge];
    const top = logits[from + bestTag(logits, from, edge)]!;
    let open = Number.NEGATIVE_INFINITY;
    if (!isLast) for (const tag of opening) open = Math.max(open, ends[next + tag]!);
    for (let tag = 0; tag < edge; tag++) {
      let rest = isLast ? scores[tag * width + edge]! : unseen[tag]! + open;
      if (!isLast) {
        for (const behind of seen[tag]!)
          rest = Math.max(rest, scores[tag * width + behind]! + ends[next + behind]!);
      }
      ends[from + tag] = rest + shortfall(logits[from + tag]!, top);
    }
  };
  return (logits, count, chosen) => {
    if (ends.length < count * edge) ends = new Float64Array(count * edge);
    for (let word = count - 1; word >= 0; word--) addEnds(word, logits, word === count - 1);
    let before = edge;
    for (let word = 0; word < count; word++) {
      let [most, found] = [Number.NEGATIVE_INFINITY, 0];
      for (let tag = 0; tag < edge; tag++) {
        const end = scores[before * width + tag]! + ends[word * edge + tag]!;
        if (end > most) [most, found] = [end, tag];
      }
      chosen[word] = found;
      before = found;
    }
  };
}
