import { PtuningError, Rng } from "../core/index.ts";
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
): { kept: E[]; taken: E[] } {
  if (share === 0) return { kept: [...examples], taken: [] };
  const roots = rootsOf(examples, kind);
  const sizes = new Int32Array(examples.length);
  const byStratum = new Map<string, number[]>();
  for (const [i, root] of roots.entries()) {
    sizes[root]!++;
    if (i !== root) continue;
    const stratum = kinds[kind].stratum(examples[i]!);
    const list = byStratum.get(stratum);
    if (list === undefined) byStratum.set(stratum, [root]);
    else list.push(root);
  }
  const isTaken = new Uint8Array(examples.length);
  const rng = new Rng(seed, splitStreams[part]);
  for (const [stratum, list] of [...byStratum].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (list.length < 2) continue;
    const rows = list.reduce((sum, root) => sum + sizes[root]!, 0);
    const wanted = Math.max(1, Math.round(rows * share));
    let count = 0;
    for (const root of rng.split(stratum).shuffle(list).slice(0, -1)) {
      if (count >= wanted) break;
      isTaken[root] = 1;
      count += sizes[root]!;
    }
  }
  for (const [i, root] of roots.entries()) isTaken[i] = isTaken[root]!;
  const taken = examples.filter((_, i) => isTaken[i] === 1);
  const kept = examples.filter((_, i) => isTaken[i] === 0);
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

/** For each row the first of those that it stays together with. */
function rootsOf<E extends ExampleKinds[K], K extends ExampleKind>(
  examples: readonly E[],
  kind: K,
): Int32Array {
  const parents = new Int32Array(examples.length).map((_, i) => i);
  const rootOf = (i: number): number => {
    while (parents[i] !== i) {
      parents[i] = parents[parents[i]!]!;
      i = parents[i]!;
    }
    return i;
  };
  const { key, ties } = kinds[kind];
  const keysOf = (row: number): string[] => [
    `key ${key(examples[row]!)}`,
    ...ties(examples[row]!).map((name) => `tie ${name}`),
  ];
  const firstWith = new FirstRows(keysOf, examples.length);
  for (const i of examples.keys()) {
    for (const tie of keysOf(i)) {
      const [a, b] = [rootOf(firstWith.add(i, tie)), rootOf(i)];
      parents[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return parents.map((_, i) => rootOf(i));
}
