import { distance } from "fastest-levenshtein";

/** The candidate nearest to a mistyped word, if one is near enough (a third of its letters may differ). */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const ranked = candidates
    .map((candidate) => ({ candidate, edits: distance(wanted, candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  return best && best.edits <= Math.max(1, wanted.length / 3) ? best.candidate : undefined;
}
