import { PtuningError, Rng } from "../core/index.ts";
import type { TextExample } from "./example.ts";

/** Texts that differ only in case and white space count as one. */
export function textKey({ text, pair }: TextExample): string {
  const normal = (part: string): string => part.toLowerCase().replace(/\s+/g, " ").trim();
  return pair === undefined ? normal(text) : `${normal(text)}\u0000${normal(pair)}`;
}

/**
 * Takes a share of the examples away: seeded, the same share of every label, and equal texts stay together.
 * A label with at least two different texts gives at least one.
 * @throws DATA_INVALID if nothing would be left on one side
 */
export function splitOff<E extends TextExample>(
  examples: readonly E[],
  share: number,
  seed: number,
): { kept: E[]; taken: E[] } {
  if (share === 0) return { kept: [...examples], taken: [] };
  const groups = new Map<string, number[]>();
  for (const [i, example] of examples.entries()) {
    const key = textKey(example);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  const byLabel = new Map<string, number[][]>();
  for (const group of groups.values()) {
    const label = examples[group[0]!]!.label ?? "";
    const list = byLabel.get(label);
    if (list === undefined) byLabel.set(label, [group]);
    else list.push(group);
  }
  const isTaken = new Uint8Array(examples.length);
  const rng = new Rng(seed, "split");
  for (const [label, list] of [...byLabel].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (list.length < 2) continue;
    const rows = list.reduce((sum, group) => sum + group.length, 0);
    const wanted = Math.max(1, Math.round(rows * share));
    let count = 0;
    for (const group of rng.split(label).shuffle(list).slice(0, -1)) {
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
      `data: expected enough rows to split off a dev set, got ${examples.length}.`,
      {
        hint: "Add rows, give a dev file, or set devShare to 0.",
      },
    );
  }
  return { kept, taken };
}
