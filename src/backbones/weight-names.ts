import type { Architecture, BackboneConfig } from "./architecture.ts";

/** Tells our names of a checkpoint's weights, with or without the architecture's prefix; `undefined` for what it does not use. */
export function weightNamer<C extends BackboneConfig>(
  architecture: Architecture<C>,
  config: C,
): (checkpointName: string) => string | undefined {
  const names = new Map<string, string>();
  const ours = {
    ...architecture.weights(config),
    ...architecture.poolerWeights(config),
    ...architecture.lmHead.weights(config),
  };
  for (const name of Object.keys(ours)) {
    const theirs = architecture.checkpointName(name);
    names.set(theirs, name);
    if (theirs.startsWith(architecture.prefix)) names.set(theirs.slice(architecture.prefix.length), name);
  }
  // The first checkpoints of BERT came from TensorFlow.
  return (checkpointName) =>
    names.get(checkpointName.replace(/\.gamma$/, ".weight").replace(/\.beta$/, ".bias"));
}

/** Pairs of stretches in names, ours and the checkpoint's, as `String.replace` takes them. */
export type Renames = readonly (readonly [ours: string | RegExp, theirs: string])[];

/** Puts each stretch in the place of its like, once, in their order. */
export function renamed(name: string, pairs: Renames): string {
  return pairs.reduce((current, [ours, theirs]) => current.replace(ours, theirs), name);
}
