/** How often tags stand behind one another in training data, and what that says of a sequence. Legend: C tags. */
import { decodeTags, encodeSpans, type TagRules } from "../data/portable.ts";
import { bestSequence, followingTags, type TagChooser, type Transitions } from "./tag-path.ts";

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

/** ln (count + ½) / Σ (count + ½), over all that the rules allow behind a tag. */
function countedTransitions(counts: TagCounts, labels: readonly string[], rules: TagRules): Transitions {
  const [names, edge] = [[...labels, border], labels.length];
  const scores = new Float64Array(names.length ** 2).fill(Number.NEGATIVE_INFINITY);
  const unseen = new Float64Array(names.length).fill(Number.NEGATIVE_INFINITY);
  const seen = followingTags(edge, rules).map(({ tags, inside, isOpen }, before) => {
    const countOf = (tag: number): number => (counts[names[before]!]?.[names[tag]!] ?? 0) + unseenCount;
    const all = [...tags].reduce((sum, tag) => sum + countOf(tag), 0);
    for (const tag of tags) scores[before * names.length + tag] = Math.log(countOf(tag) / all);
    if (isOpen) unseen[before] = Math.log(unseenCount / all);
    return Int32Array.from(
      [...tags].filter((tag) => tag !== edge && (countOf(tag) > unseenCount || inside.includes(tag))),
    );
  });
  return { scores, unseen, seen };
}

/**
 * Chooses the sequence with the greatest sum of logits and of weight · ln p(tag | tag in front of it), of those that the rules
 * allow: {@link bestSequence}.
 */
export function countedChooser(
  counts: TagCounts,
  labels: readonly string[],
  rules: TagRules,
): (weight: number) => () => TagChooser {
  const plain = countedTransitions(counts, labels, rules);
  return (weight) => {
    // What is not allowed stays so without a weight.
    const weighed = (score: number): number => (score === Number.NEGATIVE_INFINITY ? score : weight * score);
    const [scores, unseen] = [plain.scores.map(weighed), plain.unseen.map(weighed)];
    return () => bestSequence(labels.length, rules, { ...plain, scores, unseen });
  };
}
