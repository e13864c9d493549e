import {
  type ByteSource,
  byteSize,
  bytesOf,
  type DType,
  elementCount,
  PtuningError,
  shown,
  type Tensor,
} from "../core/index.ts";
import { topLevelKeys } from "./json.ts";
import { readTensor, type TensorEntry, tensorOf } from "./tensors.ts";

/** Names of dtypes in safetensors headers. */
const dtypes: { readonly [D in DType]: string } = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint8: "U8",
  bool: "BOOL",
};

const dtypeOf: ReadonlyMap<unknown, DType> = new Map(
  (Object.keys(dtypes) as DType[]).map((dtype) => [dtypes[dtype], dtype]),
);

/** The reference implementation refuses longer headers too. */
const maxHeaderBytes = 100_000_000;

/** What a safetensors file holds, and where. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Reads and checks the header of a safetensors file.
 * @throws FILE_INVALID naming the file and the field: header too long or not JSON, duplicate names, unknown
 *   dtypes, shape × dtype ≠ bytes, ranges that overlap or leave the file
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const fail = (message: string): never => {
    throw new PtuningError("FILE_INVALID", `${source.name}: ${message}`, {
      hint: "The file is not safetensors, or it is truncated or damaged: fetch or save it again.",
    });
  };
  if (source.size < 8) fail(`expected a safetensors file, got ${source.size} bytes.`);
  const prefix = await source.read(0, 8);
  const headerBytes = Number(new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true));
  const limit = Math.min(maxHeaderBytes, source.size - 8);
  if (headerBytes > limit) fail(`header length: expected at most ${limit} bytes, got ${headerBytes}.`);
  const text = new TextDecoder().decode(await source.read(8, headerBytes));
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    fail("header: expected JSON.");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    fail("header: expected an object.");
  const seen = new Set<string>();
  const duplicate = topLevelKeys(text).find((name) => seen.size === seen.add(name).size);
  if (duplicate !== undefined) fail(`header: the name ${shown(duplicate)} occurs twice.`);

  const dataStart = 8 + headerBytes;
  const { __metadata__: metadata = {}, ...entries } = parsed as Record<string, unknown>;
  const isTextMap = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (!isTextMap || Object.values(metadata).some((value) => typeof value !== "string")) {
    fail("__metadata__: expected texts.");
  }
  const tensors = new Map<string, TensorEntry>();
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype: code, shape, data_offsets: range } = (entry ?? {}) as Record<string, unknown>;
    const dtype = dtypeOf.get(code);
    if (dtype === undefined) fail(`tensor ${shown(name)}: expected a known dtype, got ${shown(code)}.`);
    if (!isLengths(shape)) fail(`tensor ${shown(name)}: expected a shape of whole numbers.`);
    if (!isLengths(range) || range.length !== 2)
      fail(`tensor ${shown(name)}: expected data_offsets [begin, end].`);
    const [begin, end] = range as [number, number];
    const expected = elementCount(shape as number[]) * byteSize(dtype!);
    if (end - begin !== expected) {
      fail(
        `tensor ${shown(name)}: ${code} ${shown(shape)} takes ${expected} bytes, data_offsets give ${end - begin}.`,
      );
    }
    if (dataStart + end > source.size) {
      fail(`tensor ${shown(name)}: ends at byte ${dataStart + end}, the file has ${source.size}.`);
    }
    tensors.set(name, {
      dtype: dtype!,
      shape: shape as number[],
      offset: dataStart + begin,
      byteLength: expected,
    });
  }
  const ordered = [...tensors].sort(([, a], [, b]) => a.offset - b.offset);
  for (const [i, [name, entry]] of ordered.entries()) {
    const [previousName, previous] = ordered[i - 1] ?? ["", undefined];
    if (previous && entry.byteLength > 0 && entry.offset < previous.offset + previous.byteLength) {
      fail(`tensors ${shown(previousName)} and ${shown(name)} overlap.`);
    }
  }
  return { metadata: metadata as Record<string, string>, tensors };
}

function isLengths(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

/** Smaller files are read as a whole. */
const oneReadBytes = 64 * 2 ** 20;

/** A whole safetensors file in memory. */
export interface SafetensorsContents {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Record<string, Tensor>;
}

/**
 * Reads a whole safetensors file into memory: adapters and training states, not backbones.
 * @throws FILE_INVALID as {@link readSafetensorsHeader}
 */
export async function parseSafetensors(source: ByteSource): Promise<SafetensorsContents> {
  const header = await readSafetensorsHeader(source);
  // A file of many small tensors takes one read.
  const bytes = source.size <= oneReadBytes ? await source.read(0, source.size) : undefined;
  const tensorAt = async (entry: TensorEntry): Promise<Tensor> =>
    bytes === undefined
      ? readTensor(source, entry)
      : tensorOf(entry, bytes.slice(entry.offset, entry.offset + entry.byteLength));
  const read: [string, Tensor][] = [];
  for (const [name, entry] of header.tensors) read.push([name, await tensorAt(entry)]);
  return { metadata: header.metadata, tensors: Object.fromEntries(read) };
}

/** One tensor to be written; its bytes are asked for when their turn comes. */
export interface PendingTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
}

/** Tensors in the order of the file, by falling element size, then by name; and the bytes in front of them. */
function layOut<T extends { readonly dtype: DType; readonly shape: readonly number[] }>(
  tensors: Readonly<Record<string, T>>,
  metadata: Readonly<Record<string, string>>,
): { prefix: Uint8Array; ordered: [string, T][]; dataBytes: number } {
  const ordered = Object.entries(tensors).sort(
    ([a, x], [b, y]) => byteSize(y.dtype) - byteSize(x.dtype) || (a < b ? -1 : 1),
  );
  // Without a prototype: a tensor may have any name.
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let end = 0;
  for (const [name, { dtype, shape }] of ordered) {
    const start = end;
    end += elementCount(shape) * byteSize(dtype);
    header[name] = { dtype: dtypes[dtype], shape, data_offsets: [start, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const prefix = new Uint8Array(8 + headerBytes).fill(0x20, 8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(headerBytes), true);
  prefix.set(text, 8);
  return { prefix, ordered, dataBytes: end };
}

/** The bytes of a safetensors file. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const { prefix, ordered, dataBytes } = layOut(tensors, metadata);
  const bytes = new Uint8Array(prefix.length + dataBytes);
  bytes.set(prefix);
  let at = prefix.length;
  for (const [, { data }] of ordered) {
    bytes.set(bytesOf(data), at);
    at += data.byteLength;
  }
  return bytes;
}

/** A safetensors file in pieces, one tensor in memory at a time. */
export async function* streamSafetensors(
  tensors: Readonly<Record<string, PendingTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): AsyncGenerator<Uint8Array> {
  const { prefix, ordered } = layOut(tensors, metadata);
  yield prefix;
  for (const [, { bytes }] of ordered) yield await bytes();
}
