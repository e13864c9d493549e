import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ExternalTensor, type Tensor, toFloat32 } from "../core/index.ts";
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
import type { Backbone } from "./load.ts";

const weightsFile = "model.safetensors";

/** Version of the cached file's layout; part of its name. */
const layoutVersion = 3;

/**
 * Weights of the linear layers as int8, made once per backbone in our cache (the backbone's own folder may be
 * read-only); everything else is copied as it is. A matrix `W [O, I]` becomes two, as a product cannot read
 * int8 transposed: `….int8.forward [I, O]` with a scale per output, and `….int8.backward [O, I]` with a scale
 * per input, for gradients.
 *
 * @param bits 8, or 7 on CPUs whose 8-bit products overflow (x86 without VNNI)
 * @param signal ends the making with its reason
 */
export async function quantizedWeights(
  backbone: Pick<Backbone, "id" | "architecture" | "config" | "weights" | "fingerprint">,
  bits: 7 | 8,
  env: Environment = process.env,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  // The name of the prefix is part of the key: fingerprints of other kinds never meet here.
  const key = hashText(backbone.fingerprint).slice(0, 32);
  const cached = join(cacheFolder(env), "quantized", `${key}-int${bits}-v${layoutVersion}`);
  const known = await openQuantized(join(cached, weightsFile), backbone.fingerprint);
  if (known === undefined) return inCacheOrAside(cached, (folder) => makeIn(folder, backbone, bits, signal));
  await dropDeadLock(join(cached, "lock"));
  return known;
}

async function makeIn(
  folder: string,
  backbone: Pick<Backbone, "id" | "architecture" | "config" | "weights" | "fingerprint">,
  bits: 7 | 8,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, ExternalTensor>> {
  const path = join(folder, weightsFile);
  await makeFolder(folder);
  const release = await lockFile(join(folder, "lock"), {
    what: `int8 weights of ${backbone.id}`,
    timeoutMs: 10 * 60_000,
    ...(signal && { signal }),
  });
  try {
    const made = await openQuantized(path, backbone.fingerprint);
    if (made !== undefined) return made;
    await sweepTemporaries(folder, { isSole: true });
    await write(path, backbone, bits, signal);
    return (await openQuantized(path, backbone.fingerprint))!;
  } finally {
    await release();
  }
}

/** Whether any layer has an int8 form. */
export function isQuantized(weights: Backbone["weights"]): boolean {
  return [...weights.keys()].some((name) => name.endsWith(".int8.forward"));
}

/** The file's tensors, if it is there, whole, and of this backbone. */
async function openQuantized(
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
  {
    architecture,
    config,
    weights,
    fingerprint,
  }: Pick<Backbone, "architecture" | "config" | "weights" | "fingerprint">,
  bits: 7 | 8,
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
  const linear = new Set(architecture.linears(config).map(({ name }) => `${name}.weight`));
  const pending: Record<string, PendingTensor> = {};
  for (const [name, tensor] of weights) {
    const { dtype, shape } = tensor;
    if (!linear.has(name)) {
      pending[name] = { dtype, shape, bytes: async () => bytesOf((await read(tensor)).data) };
      continue;
    }
    const [rows, columns] = shape as [number, number];
    const matrix = async (): Promise<Float32Array> => toFloat32(await read(tensor)).data;
    for (const direction of ["forward", "backward"] as const) {
      const [height, width] = direction === "forward" ? [columns, rows] : [rows, columns];
      const layout: Layout = { rows, columns, direction, largest: 2 ** (bits - 1) - 1 };
      const scales = async (): Promise<Float32Array> => columnScales(await matrix(), layout);
      pending[`${name}.int8.${direction}`] = {
        dtype: "int8",
        shape: [height, width],
        bytes: async () => bytesOf(quantize(await matrix(), await scales(), layout)),
      };
      pending[`${name}.int8.${direction}.scale`] = {
        dtype: "float32",
        shape: [width],
        bytes: async () => bytesOf(await scales()),
      };
    }
  }
  try {
    await writeFileAtomic(path, streamSafetensors(pending, { fingerprint }));
  } finally {
    for (const file of files.values()) await file.close();
  }
}

interface Layout {
  /** Of the stored matrix: O and I. */
  readonly rows: number;
  readonly columns: number;
  /** Forward stores the transposed matrix. */
  readonly direction: "forward" | "backward";
  /** Greatest absolute value of a quantised weight. */
  readonly largest: number;
}

/** One scale per column of the quantised matrix: its greatest absolute value becomes `largest`. */
function columnScales(weight: Float32Array, { rows, columns, direction, largest }: Layout): Float32Array {
  const isForward = direction === "forward";
  const scales = new Float32Array(isForward ? rows : columns);
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < columns; i++) {
      const column = isForward ? o : i;
      scales[column] = Math.max(scales[column]!, Math.abs(weight[o * columns + i]!));
    }
  }
  return scales.map((greatest) => greatest / largest || 1);
}

/** Symmetric int8 with one scale per column of the result. */
function quantize(
  weight: Float32Array,
  scales: Float32Array,
  { rows, columns, direction }: Layout,
): Int8Array {
  const values = new Int8Array(rows * columns);
  for (let o = 0; o < rows; o++) {
    for (let i = 0; i < columns; i++) {
      const value = weight[o * columns + i]!;
      if (direction === "forward") values[i * rows + o] = Math.round(value / scales[o]!);
      else values[o * columns + i] = Math.round(value / scales[i]!);
    }
  }
  return values;
}
