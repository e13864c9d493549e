import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ExternalTensor, type Tensor, toFloat32 } from "../core/index.ts";
import type { CpuFacts } from "../engine/index.ts";
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
import type { FormName, StoredForm } from "../nn/index.ts";
import type { Backbone } from "./load.ts";

const weightsFile = "model.safetensors";

/** What is made. */
export interface Conversion {
  readonly name: FormName;
  readonly form: StoredForm;
  /** The machine that it is made for. */
  readonly cpu: CpuFacts;
}

type Source = Pick<Backbone, "id" | "architecture" | "config" | "weights" | "fingerprint">;

/**
 * Weights with the matrices of the linear layers in another form, where it suits them, made once per backbone in our
 * cache (the backbone's own folder may be read-only); everything else is copied as it is.
 *
 * @param signal ends the making with its reason
 */
export async function convertedWeights(
  backbone: Source,
  conversion: Conversion,
  env: Environment = process.env,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  // The name of the prefix is part of the key: fingerprints of other kinds never meet here.
  const key = hashText(backbone.fingerprint).slice(0, 32);
  const cached = join(cacheFolder(env), "quantized", `${key}-${conversion.form.layout(conversion.cpu)}`);
  const known = await openConverted(join(cached, weightsFile), backbone.fingerprint);
  if (known === undefined)
    return inCacheOrAside(cached, (folder) => makeIn(folder, backbone, conversion, signal));
  await dropDeadLock(join(cached, "lock"));
  return known;
}

async function makeIn(
  folder: string,
  backbone: Source,
  conversion: Conversion,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  const path = join(folder, weightsFile);
  await makeFolder(folder);
  const release = await lockFile(join(folder, "lock"), {
    what: `${conversion.name} weights of ${backbone.id}`,
    timeoutMs: 10 * 60_000,
    ...(signal && { signal }),
  });
  try {
    const made = await openConverted(path, backbone.fingerprint);
    if (made !== undefined) return made;
    await sweepTemporaries(folder, { isSole: true });
    await write(path, backbone, conversion, signal);
    return (await openConverted(path, backbone.fingerprint))!;
  } finally {
    await release();
  }
}

/** The file's tensors, if it is there, whole, and of this backbone. */
async function openConverted(
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
  { architecture, config, weights, fingerprint }: Source,
  { form, cpu }: Conversion,
  signal: AbortSignal | undefined,
): Promise<void> {
  const files = new Map<string, ByteSource>();
  const read = async (tensor: ExternalTensor): Promise<Tensor> => {
    signal?.throwIfAborted();
    const name = join(tensor.folder, tensor.file);
    const file = files.get(name) ?? (await openFile(name));
    files.set(name, file);
    return readTensor(file, tensor);
  };
  const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
    new Uint8Array(buffer, byteOffset, byteLength);
  const linears = new Set(architecture.linears(config).map(({ name }) => `${name}.weight`));
  const pending: Record<string, PendingTensor> = {};
  for (const [name, tensor] of weights) {
    const { dtype, shape } = tensor;
    const made = linears.has(name) ? form.tensors(shape as [number, number], cpu) : undefined;
    if (made === undefined) {
      pending[name] = { dtype, shape, bytes: async () => bytesOf((await read(tensor)).data) };
      continue;
    }
    for (const [suffix, { make, ...one }] of Object.entries(made)) {
      pending[`${name}${suffix}`] = {
        ...one,
        bytes: async () => bytesOf(make(toFloat32(await read(tensor)).data)),
      };
    }
  }
  try {
    await writeFileAtomic(path, streamSafetensors(pending, { fingerprint }));
  } finally {
    for (const file of files.values()) await file.close();
  }
}
