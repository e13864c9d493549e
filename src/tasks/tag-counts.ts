/** How often tags stand behind one another in training data, and what that says of a sequence. Legend: C tags. */
import { decodeTags, encodeSpans, type TagRules } from "../data/portable.ts";
import { bestTag, shortfall, type TagChooser, type WordScores } from "./tag-path.ts";

/** How often each tag stands behind another: `counts[before][tag]`, with `""` for the border of a sentence. */
export type TagCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

const border = "";

/** Added to each count of what the rules allow: what training data does not show may occur. */
const unseenCount = 0.5;

/**
 * Counts how often tags stand behind one another, of examples in any scheme and in IOB2.
 * @throws DATA_INVALID if a tag is of no scheme
 * @example
 * countTags([{ tags: ["U-Loc", "O"] }]); // { "": { "B-Loc": 1 }, "B-Loc": { O: 1 }, O: { "": 1 } }
 */
export function countTags(examples: Iterable<{ readonly tags?: readonly string[] }>): TagCounts {
  const counts = new Map<string, Map<string, number>>();
  for (const { tags } of examples) {
    if (tags === undefined || tags.length === 0) continue;
    let before = border;
    for (const tag of [...encodeSpans(decodeTags(tags), tags.length, "IOB2"), border]) {
      const own = counts.get(before) ?? new Map<string, number>();
      counts.set(before, own.set(tag, (own.get(tag) ?? 0) + 1));
      before = tag;
    }
  }
  const sorted = <T>(map: Map<string, T>): [string, T][] => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted(counts).map(([tag, own]) => [tag, Object.fromEntries(sorted(own))]));
}

/** What the counts say of a tag behind another, as logarithms of shares. Tags are numbers, `C` is the border of a sentence. */
interface Transitions {
  /** `[C + 1, C + 1]`: −∞ where the rules do not allow it. */
  readonly scores: Float64Array;
  /** `[C + 1]`: of an opening tag that was never counted behind a tag, the least that any behind it has; −∞ where none is allowed. */
  readonly unseen: Float64Array;
  /** For each tag those that may stand behind it with another score, the border left out. */
  readonly seen: readonly Int32Array[];
}

/** ln (count + ½) / Σ (count + ½), over all that the rules allow behind a tag. */
function transitionsOf(counts: TagCounts, labels: readonly string[], rules: TagRules): Transitions {
  const [names, edge] = [[...labels, border], labels.length];
  const scores = new Float64Array(names.length ** 2).fill(Number.NEGATIVE_INFINITY);
  const unseen = new Float64Array(names.length).fill(Number.NEGATIVE_INFINITY);
  const seen = names.map((name, before) => {
    const isOpen = before === edge || rules.closing.includes(before);
    const inside = rules.within[before] ?? [];
    const following = new Set([...(isOpen ? rules.opening : []), ...inside]);
    if (isOpen && before !== edge) following.add(edge);
    const countOf = (tag: number): number => (counts[name]?.[names[tag]!] ?? 0) + unseenCount;
    const all = [...following].reduce((sum, tag) => sum + countOf(tag), 0);
    for (const tag of following) scores[before * names.length + tag] = Math.log(countOf(tag) / all);
    if (isOpen) unseen[before] = Math.log(unseenCount / all);
    return Int32Array.from(
      [...following].filter((tag) => tag !== edge && (countOf(tag) > unseenCount || inside.includes(tag))),
    );
  });
  return { scores, unseen, seen };
}

/**
 * Chooses the sequence with the greatest sum of logits and of weight · ln p(tag | tag in front of it), of those that the rules
 * allow, the borders of the sentence included. Of several best it takes the one with the lower tag at the first word where they
 * differ.
 */
export function countedChooser(
  counts: TagCounts,
  labels: readonly string[],
  rules: TagRules,
): (weight: number) => () => TagChooser {
  const plain = transitionsOf(counts, labels, rules);
  return (weight) => {
    // What is not allowed stays so without a weight.
    const weighed = (score: number): number => (score === Number.NEGATIVE_INFINITY ? score : weight * score);
    const [scores, unseen] = [plain.scores.map(weighed), plain.unseen.map(weighed)];
    return () => weighedChooser(labels.length, rules.opening, { ...plain, scores, unseen });
  };
}

function weighedChooser(
  edge: number,
  opening: readonly number[],
  { scores, unseen, seen }: Transitions,
): TagChooser {
  const width = edge + 1;
  /** `[N, C]`: the score of the best end of the sentence that begins with a tag at a word. */
  let ends = new Float64Array(0);
  /** The best end from a word on behind each tag. Those never counted have one score, the least: one maximum serves all tags. */
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
