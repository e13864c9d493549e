import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ExternalTensor, Tensor } from "../core/index.ts";
import {
  type ByteSource,
  cacheFolder,
  dropDeadLock,
  type Environment,
  hashText,
  inCacheOrAside,
  lockFile,
  makeFolder,
  openFile,
  type PendingTensor,
  readSafetensorsHeader,
  readTensor,
  streamSafetensors,
  sweepTemporaries,
  writeFileAtomic,
} from "../files/index.ts";
import type { StoredWeight } from "./checkpoint.ts";
import type { Backbone } from "./load.ts";

const weightsFile = "model.safetensors";

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

/**
 * Weights that are made once per backbone in our cache (the backbone's own folder may be read-only), tensor by tensor.
 * @param signal ends the making with its reason
 */
export async function cachedWeights(
  backbone: Pick<Backbone, "id" | "fingerprint">,
  wanted: WeightsToMake,
  env: Environment = process.env,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  // The name of the prefix is part of the key: fingerprints of other kinds never meet here.
  const key = hashText(backbone.fingerprint).slice(0, 32);
  const cached = join(cacheFolder(env), wanted.kind, `${key}-${wanted.layout}`);
  const known = await openCached(join(cached, weightsFile), backbone.fingerprint);
  if (known === undefined)
    return inCacheOrAside(cached, (folder) => makeIn(folder, backbone, wanted, signal));
  await dropDeadLock(join(cached, "lock"));
  return known;
}

async function makeIn(
  folder: string,
  { id, fingerprint }: Pick<Backbone, "id" | "fingerprint">,
  wanted: WeightsToMake,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  const path = join(folder, weightsFile);
  await makeFolder(folder);
  const release = await lockFile(join(folder, "lock"), {
    what: `${wanted.name} weights of ${id}`,
    timeoutMs: 10 * 60_000,
    ...(signal && { signal }),
  });
  try {
    const made = await openCached(path, fingerprint);
    if (made !== undefined) return made;
    await sweepTemporaries(folder, { isSole: true });
    await write(path, fingerprint, wanted, signal);
    return (await openCached(path, fingerprint))!;
  } finally {
    await release();
  }
}

/** The file's tensors, if it is there, whole, and of this backbone. */
async function openCached(
  path: string,
  fingerprint: string,
): Promise<ReadonlyMap<string, ExternalTensor> | undefined> {
  let source: ByteSource;
  try {
    source = await openFile(path);
  } catch {
    return undefined;
  }
  try {
    const { tensors, metadata } = await readSafetensorsHeader(source);
    if (metadata.fingerprint !== fingerprint) return undefined;
    const real = await realpath(path);
    const place = { folder: dirname(real), file: weightsFile };
    return new Map([...tensors].map(([name, entry]) => [name, { ...entry, ...place }]));
  } catch {
    // A damaged file is made again.
    return undefined;
  } finally {
    await source.close();
  }
}

async function write(
  path: string,
  fingerprint: string,
  { tensors }: WeightsToMake,
  signal: AbortSignal | undefined,
): Promise<void> {
  const files = new Map<string, ByteSource>();
  const read = async (weight: StoredWeight): Promise<Tensor> => {
    signal?.throwIfAborted();
    const name = join(weight.folder, weight.file);
    const file = files.get(name) ?? (await openFile(name));
    files.set(name, file);
    return readTensor(file, weight);
  };
  try {
    await writeFileAtomic(path, streamSafetensors(tensors(read), { fingerprint }));
  } finally {
    for (const file of files.values()) await file.close();
  }
}
