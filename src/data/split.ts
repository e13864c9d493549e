import { PtuningError, Rng } from "../core/index.ts";
import type { ExampleKind, ExampleKinds } from "./example.ts";
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
  const byStratum = new Map<string, number[][]>();
  for (const group of groupsOf(examples, kind)) {
    const stratum = kinds[kind].stratum(examples[group[0]!]!);
    const list = byStratum.get(stratum);
    if (list === undefined) byStratum.set(stratum, [group]);
    else list.push(group);
  }
  const isTaken = new Uint8Array(examples.length);
  const rng = new Rng(seed, splitStreams[part]);
  for (const [stratum, list] of [...byStratum].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (list.length < 2) continue;
    const rows = list.reduce((sum, group) => sum + group.length, 0);
    const wanted = Math.max(1, Math.round(rows * share));
    let count = 0;
    for (const group of rng.split(stratum).shuffle(list).slice(0, -1)) {
      if (count >= wanted) break;
      for (const i of group) isTaken[i] = 1;
      count += group.length;
    }
  }
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

/** Row numbers of examples that stay together, in the order of their first rows. */
function groupsOf<E extends ExampleKinds[K], K extends ExampleKind>(
  examples: readonly E[],
  kind: K,
): number[][] {
  const parents = examples.map((_, i) => i);
  const rootOf = (i: number): number => {
    while (parents[i] !== i) {
      parents[i] = parents[parents[i]!]!;
      i = parents[i]!;
    }
    return i;
  };
  const { key, ties } = kinds[kind];
  const firstWith = new Map<string, number>();
  for (const [i, example] of examples.entries()) {
    for (const tie of [`key ${key(example)}`, ...ties(example).map((name) => `tie ${name}`)]) {
      const first = firstWith.get(tie);
      if (first === undefined) firstWith.set(tie, i);
      else {
        const [a, b] = [rootOf(first), rootOf(i)];
        parents[Math.max(a, b)] = Math.min(a, b);
      }
    }
  }
  const groups = new Map<number, number[]>();
  for (const i of examples.keys()) {
    const root = rootOf(i);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [i]);
    else group.push(i);
  }
  return [...groups.values()];
}
