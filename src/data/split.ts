import { leaveOut, PtuningError, pickFrom, Rng } from "../core/index.ts";
import type { ExampleKind, ExampleKinds } from "./example.ts";
import { FirstRows } from "./first-rows.ts";
import { kinds } from "./kinds.ts";

/** Names of the random numbers that draw a part. */
const splitStreams = { dev: "split", test: "test split" } as const;

/**
 * Takes a share of the examples away: seeded, the same share of every stratum (a text's label), and what belongs
 * together stays together: equal texts, options of one question, predicates of one sentence, questions about one
 * article. A stratum with at least two such groups gives at least one.
 * @throws DATA_INVALID if nothing would be left on one side
 */
export function splitOff<E extends ExampleKinds[K], K extends ExampleKind = "text">(
  examples: readonly E[],
  share: number,
  seed: number,
  kind: K = "text" as K,
  part: "dev" | "test" = "dev",
): { kept: readonly E[]; taken: readonly E[] } {
  if (share === 0) return { kept: examples, taken: [] };
  const roots = rootsOf(examples, kind);
  const isTaken = new Uint8Array(examples.length);
  const rng = new Rng(seed, splitStreams[part]);
  for (const [stratum, groups] of strataOf(examples, kind, roots)) {
    if (groups.length < 2) continue;
    const rows = groups.reduce((sum, root) => sum + sizeOf(roots, root), 0);
    const wanted = Math.max(1, Math.round(rows * share));
    let count = 0;
    for (const root of rng.split(stratum).shuffle(groups).subarray(0, -1)) {
      if (count >= wanted) break;
      isTaken[root] = 1;
      count += sizeOf(roots, root);
    }
  }
  let count = 0;
  for (const [i, root] of roots.entries()) {
    if (root >= 0) isTaken[i] = isTaken[root]!;
    count += isTaken[i]!;
  }
  const rows = new Uint32Array(count);
  for (let i = 0, at = 0; at < count; i++) if (isTaken[i] === 1) rows[at++] = i;
  const [taken, kept] = [pickFrom(examples, rows), leaveOut(examples, rows)];
  if (taken.length === 0 || kept.length === 0) {
    throw new PtuningError(
      "DATA_INVALID",
      `data: expected enough rows to split off a ${part} set, got ${examples.length}.`,
      {
        hint: `Add rows, give a ${part} file, or set ${part}Share to 0. Rows of one group or article are never parted.`,
      },
    );
  }
  return { kept, taken };
}

/**
 * For each row the first of those that it stays together with; for that row itself how many they are, as a negative
 * number: splits of millions of rows take four bytes each for it.
 */
function rootsOf<E extends ExampleKinds[K], K extends ExampleKind>(
  examples: readonly E[],
  kind: K,
): Int32Array {
  const parents = new Int32Array(examples.length).fill(-1);
  const rootOf = (i: number): number => {
    let root = i;
    while (parents[root]! >= 0) root = parents[root]!;
    // Each on the way is tied to it, so that the next way is short.
    while (i !== root) {
      const next = parents[i]!;
      parents[i] = root;
      i = next;
    }
    return root;
  };
  const { key, ties } = kinds[kind];
  const keysOf = (row: number): string[] => {
    const example = examples.at(row)!;
    return [`key ${key(example)}`, ...ties(example).map((name) => `tie ${name}`)];
  };
  const firstWith = new FirstRows(keysOf, examples.length);
  for (let i = 0; i < examples.length; i++) {
    for (const tie of keysOf(i)) {
      const [a, b] = [rootOf(firstWith.add(i, tie)), rootOf(i)];
      if (a === b) continue;
      const [first, second] = a < b ? [a, b] : [b, a];
      parents[first]! += parents[second]!;
      parents[second] = first;
    }
  }
  for (let i = 0; i < parents.length; i++) rootOf(i);
  return parents;
}

/** Number of rows that stay together with a root. */
function sizeOf(roots: Int32Array, root: number): number {
  return -roots[root]!;
}

/** The groups of each stratum by their roots, strata in the order of their names. */
function strataOf<E extends ExampleKinds[K], K extends ExampleKind>(
  examples: readonly E[],
  kind: K,
  roots: Int32Array,
): [name: string, groups: Int32Array][] {
  const numbers = new Map<string, number>();
  const counts: number[] = [];
  /** Number of each root's stratum. */
  const strata = new Int32Array(roots.length);
  for (let row = 0; row < roots.length; row++) {
    if (roots[row]! >= 0) continue;
    const name = kinds[kind].stratum(examples.at(row)!);
    const number = numbers.get(name) ?? numbers.size;
    if (number === numbers.size) numbers.set(name, number);
    strata[row] = number;
    counts[number] = (counts[number] ?? 0) + 1;
  }
  const groups = counts.map((count) => new Int32Array(count));
  const filled = new Int32Array(counts.length);
  for (let row = 0; row < roots.length; row++) {
    if (roots[row]! >= 0) continue;
    const number = strata[row]!;
    groups[number]![filled[number]!++] = row;
  }
  return [...numbers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, number]) => [name, groups[number]!]);
}
