import { join } from "node:path";
import { type ByteSource, type ExternalTensor, Resources, type Tensor, withOpen } from "../core/index.ts";
import {
  cacheFolder,
  dropDeadLock,
  type Environment,
  fileSource,
  hashText,
  inCacheOrAside,
  lockFile,
  makeFolder,
  readSafetensorsHeader,
  readTensor,
  streamSafetensors,
  sweepTemporaries,
  writeFileAtomic,
} from "../files/index.ts";
import type { Backbone } from "./backbone.ts";
import type { StoredWeight } from "./checkpoint.ts";
import type { WeightsToMake } from "./made-weights.ts";

const weightsFile = "model.safetensors";

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
    source = await fileSource(path);
  } catch {
    return undefined;
  }
  try {
    const { tensors, metadata } = await withOpen(source, readSafetensorsHeader);
    if (metadata.fingerprint !== fingerprint) return undefined;
    return new Map([...tensors].map(([name, entry]) => [name, { ...entry, source }]));
  } catch {
    // A damaged file is made again.
    return undefined;
  }
}

async function write(
  path: string,
  fingerprint: string,
  { tensors }: WeightsToMake,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using opened = new Resources();
  const open = new Map<ByteSource, ByteSource>();
  const read = async (weight: StoredWeight): Promise<Tensor> => {
    signal?.throwIfAborted();
    const { source } = weight;
    if (!open.has(source)) open.set(source, source.open ? opened.use(await source.open()) : source);
    return readTensor(open.get(source)!, weight);
  };
  await writeFileAtomic(path, streamSafetensors(tensors(read), { fingerprint }));
}
