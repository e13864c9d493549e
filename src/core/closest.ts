import { distance } from "fastest-levenshtein";

/** The candidate nearest to a mistyped word, if one is near enough: two edits, or a third of a long word. */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: distance(wanted, candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  const limit = wanted.length < 4 ? 1 : Math.max(2, wanted.length / 3);
  return best && best.edits <= limit ? best.candidate : undefined;
}
