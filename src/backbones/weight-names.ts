import type { Architecture, BackboneConfig } from "./architecture.ts";

/** A bias of the decoder that shares the word table is the LM head's own under another name. */
const standIn = "decoder.bias";

/** Whether a checkpoint's name stands for a weight only where its own name is not there. */
export function standsIn(checkpointName: string): boolean {
  return checkpointName.endsWith(`.${standIn}`);
}

/** What wrappers put in front of all names: data parallel training, and sentence-transformers. */
const wrapping = /^(module\.)?(0\.auto_model\.)?/;

/**
 * Tells our names of a checkpoint's weights, with or without the architecture's prefix and those of wrappers; `undefined`
 * for what it does not use.
 */
export function weightNamer<C extends BackboneConfig>(
  architecture: Architecture<C>,
  config: C,
): (checkpointName: string) => string | undefined {
  const names = new Map<string, string>();
  const add = (theirs: string, name: string): void => {
    names.set(theirs, name);
    if (theirs.startsWith(architecture.prefix)) names.set(theirs.slice(architecture.prefix.length), name);
  };
  const { lmHead } = architecture;
  const ours = {
    ...architecture.weights(config),
    ...architecture.poolerWeights(config),
    ...lmHead.weights(config),
  };
  for (const name of Object.keys(ours)) add(architecture.checkpointName(name), name);
  if (lmHead.bias) add(architecture.checkpointName(lmHead.bias).replace(/bias$/, standIn), lmHead.bias);
  return (checkpointName) =>
    names.get(
      // The first checkpoints of BERT came from TensorFlow.
      checkpointName
        .replace(wrapping, "")
        .replace(/\.gamma$/, ".weight")
        .replace(/\.beta$/, ".bias"),
    );
}

/** Pairs of stretches in names, ours and the checkpoint's, as `String.replace` takes them. */
export type Renames = readonly (readonly [ours: string | RegExp, theirs: string])[];

/** Puts each stretch in the place of its like, once, in their order. */
export function renamed(name: string, pairs: Renames): string {
  return pairs.reduce((current, [ours, theirs]) => current.replace(ours, theirs), name);
}
