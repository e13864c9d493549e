import { PtuningError, Rng } from "../core/index.ts";
import { exampleKinds } from "./describe.ts";
import type { ExampleKind, ExampleKinds } from "./example.ts";

/**
 * Draws k examples per label, in the order of the file: an example is taken as long as one of its labels has fewer
 * than k. Of texts with one label each that makes exactly k of every label, or all where there are fewer; of examples
 * with several labels at least k, as in few-shot tagging.
 * @param k examples per label, a whole number above 0
 * @throws DATA_INVALID if the examples have no labels
 */
export function drawShots<K extends ExampleKind>(
  examples: readonly ExampleKinds[K][],
  kind: K,
  k: number,
  seed: number,
): ExampleKinds[K][] {
  const { labels } = exampleKinds[kind];
  const counts = new Map<string, number>();
  const isTaken = new Uint8Array(examples.length);
  for (const i of new Rng(seed, "shots").shuffle(Int32Array.from(examples.keys()))) {
    const own = labels(examples[i]!);
    if (!own.some((label) => (counts.get(label) ?? 0) < k)) continue;
    isTaken[i] = 1;
    for (const label of own) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  if (counts.size === 0) {
    throw new PtuningError("DATA_INVALID", `shots: expected examples with labels, got ${kind} without any.`, {
      hint: "data.limit draws examples whatever they are.",
    });
  }
  return examples.filter((_, i) => isTaken[i] === 1);
}
