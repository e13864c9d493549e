import { levelsOf } from "./levels.ts";
import type { Point } from "./space.ts";

/** How much of the differences between trials one key explains by itself. */
export interface Importance {
  readonly key: string;
  /** Values, or ranges of values, that were told apart. */
  readonly levels: number;
  /** η²: the share of the scores' variance that lies between the levels' means. */
  readonly explained: number;
  /**
   * The same without what as many levels would explain by chance: 1 − (1 − η²)(n − 1)/(n − levels), at least 0. Absent
   * where each trial is a level of its own.
   */
  readonly adjusted?: number;
}

/**
 * Importance of each key: the main effects of a functional ANOVA on marginal means, that is, one-way analyses of
 * variance. Exact for full grids; elsewhere keys that were drawn together by chance share what they explain. What
 * two keys do only together is in none of them.
 * @param trials points that were run, with their scores
 */
export function importances(
  keys: readonly string[],
  trials: readonly { readonly point: Point; readonly score: number }[],
): Importance[] {
  const scores = trials.map(({ score }) => score);
  const mean = meanOf(scores);
  const total = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0);
  return keys
    .map((key): Importance => {
      const { names, of } = levelsOf(trials.map(({ point }) => point[key]));
      let between = 0;
      for (const level of names.keys()) {
        const members = scores.filter((_, i) => of[i] === level);
        between += members.length * (meanOf(members) - mean) ** 2;
      }
      const explained = total === 0 ? 0 : between / total;
      const free = scores.length - names.length;
      const adjusted = Math.max(0, 1 - ((1 - explained) * (scores.length - 1)) / free);
      return { key, levels: names.length, explained, ...(free > 0 && { adjusted }) };
    })
    .sort((a, b) => (b.adjusted ?? b.explained) - (a.adjusted ?? a.explained));
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
