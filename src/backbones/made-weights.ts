import type { ExternalTensor, Tensor } from "../core/index.ts";
import { memorySource, type PendingTensor, readTensor } from "../files/portable.ts";
import type { Backbone } from "./backbone.ts";
import type { StoredWeight } from "./checkpoint.ts";

/** Weights that are made of a backbone's. */
export interface WeightsToMake {
  /** Folder of our cache for their kind. */
  readonly kind: string;
  /** Name of their layout with its version: changes where the same backbone would get other bytes. */
  readonly layout: string;
  /** For people, such as `int8`. */
  readonly name: string;
  /** @param read reads a weight into memory, row-major; throws the signal's reason */
  tensors(read: (weight: StoredWeight) => Promise<Tensor>): Readonly<Record<string, PendingTensor>>;
}

/** Makes weights of a backbone's, tensor by tensor, and keeps them. @param signal ends the making with its reason */
export type WeightMaker = (
  backbone: Pick<Backbone, "id" | "fingerprint">,
  wanted: WeightsToMake,
  signal?: AbortSignal,
) => Promise<ReadonlyMap<string, ExternalTensor>>;

/** Makes weights each time, and keeps them in memory as long as somebody holds them. */
export const inMemory: WeightMaker = async (_, { name, tensors }, signal) => {
  const made = new Map<string, ExternalTensor>();
  const read = (weight: StoredWeight): Promise<Tensor> => {
    signal?.throwIfAborted();
    return readTensor(weight.source, weight);
  };
  for (const [key, { dtype, shape, bytes }] of Object.entries(tensors(read))) {
    const source = memorySource(`${name} weights: ${key}`, await bytes());
    made.set(key, { dtype, shape, source, offset: 0, byteLength: source.size });
  }
  return made;
};
