/** Writes pickles and checkpoints of PyTorch byte by byte: also ones that `torch.save` would never write. */
import { type DType, PtuningError, type Tensor } from "ptuning/internal/core";
import { memorySource, readTensor, readTorchHeader } from "ptuning/internal/files";
import { expect } from "vitest";
import { little, type ZipPart, zip } from "./zips.ts";

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8");

/** Opcodes of pickles, in the order in which they are run. */
export const op: {
  proto(version?: number): Buffer;
  text(text: string): Buffer;
  int(value: number): Buffer;
  long(value: bigint): Buffer;
  tuple(...items: readonly Uint8Array[]): Buffer;
  list(...items: readonly Uint8Array[]): Buffer;
  dict(...items: readonly Uint8Array[]): Buffer;
  global(module: string, name: string): Buffer;
  stackGlobal(module: string, name: string): Buffer;
  put(index: number): Buffer;
  get(index: number): Buffer;
} & Readonly<
  Record<
    | "stop"
    | "mark"
    | "none"
    | "no"
    | "yes"
    | "emptyTuple"
    | "emptyList"
    | "emptyDict"
    | "reduce"
    | "build"
    | "persistent",
    Buffer
  >
> = {
  proto: (version = 2) => Buffer.of(0x80, version),
  stop: Buffer.of(0x2e),
  mark: Buffer.from("("),
  text: (text: string) => Buffer.concat([Buffer.from("X"), little(bytesOf(text).length, 4), bytesOf(text)]),
  /** A whole number below 2³¹. */
  int: (value: number) => {
    const buffer = Buffer.alloc(5, "J");
    buffer.writeInt32LE(value, 1);
    return buffer;
  },
  long: (value: bigint) => Buffer.concat([Buffer.of(0x8a, 8), little(value, 8)]),
  none: Buffer.from("N"),
  no: Buffer.of(0x89),
  yes: Buffer.of(0x88),
  tuple: (...items: readonly Uint8Array[]) => Buffer.concat([Buffer.from("("), ...items, Buffer.from("t")]),
  emptyTuple: Buffer.from(")"),
  emptyList: Buffer.from("]"),
  emptyDict: Buffer.from("}"),
  list: (...items: readonly Uint8Array[]) => Buffer.concat([Buffer.from("]("), ...items, Buffer.from("e")]),
  dict: (...items: readonly Uint8Array[]) => Buffer.concat([Buffer.from("}("), ...items, Buffer.from("u")]),
  global: (module: string, name: string) => bytesOf(`c${module}\n${name}\n`),
  stackGlobal: (module: string, name: string) =>
    Buffer.concat([op.text(module), op.text(name), Buffer.of(0x93)]),
  reduce: Buffer.from("R"),
  build: Buffer.from("b"),
  persistent: Buffer.from("Q"),
  put: (index: number) => Buffer.of(0x71, index),
  get: (index: number) => Buffer.of(0x68, index),
};

/** How a pickled tensor differs from a whole row-major one of 2 × 3 float32. */
export interface TensorChoices {
  readonly key?: string;
  readonly type?: Uint8Array;
  readonly count?: Uint8Array;
  readonly offset?: Uint8Array;
  readonly size?: readonly number[];
  readonly stride?: readonly number[];
  readonly id?: Uint8Array;
  readonly rebuild?: Uint8Array;
  readonly args?: (storage: Uint8Array) => Uint8Array;
}

/** A persistent id as zip files have it, or legacy ones. */
export function storageId(choices: TensorChoices = {}, form: "zip" | "legacy" = "zip"): Buffer {
  const { key = "0", type = op.global("torch", "FloatStorage"), count = op.int(6) } = choices;
  const items = [op.text("storage"), type, op.text(key), op.text("cpu"), count];
  return op.tuple(...items, ...(form === "legacy" ? [op.none] : []));
}

/** The opcodes that put a tensor on the stack. */
export function tensorOps(choices: TensorChoices = {}, form: "zip" | "legacy" = "zip"): Buffer {
  const { offset = op.int(0), size = [2, 3], stride = [3, 1] } = choices;
  const storage = Buffer.concat([choices.id ?? storageId(choices, form), op.persistent]);
  const ints = (values: readonly number[]): Buffer => op.tuple(...values.map(op.int));
  const ordered = Buffer.concat([op.global("collections", "OrderedDict"), op.emptyTuple, op.reduce]);
  const args = choices.args?.(storage) ?? op.tuple(storage, offset, ints(size), ints(stride), op.no, ordered);
  const rebuild = choices.rebuild ?? op.global("torch._utils", "_rebuild_tensor_v2");
  return Buffer.concat([rebuild, args, op.reduce]);
}

/** A pickle of one value. */
export function pickle(...ops: readonly Uint8Array[]): Buffer {
  return Buffer.concat([op.proto(), ...ops, op.stop]);
}

/** Six numbers, 0 to 5, as float32. */
export const sixFloats: Buffer = Buffer.from(Float32Array.from({ length: 6 }, (_, i) => i).buffer);

/** The parts of a checkpoint in zip form. */
export function torchParts(data: Uint8Array, storage: Uint8Array = sixFloats, root = "archive"): ZipPart[] {
  return [
    { name: `${root}/data.pkl`, data },
    { name: `${root}/byteorder`, data: bytesOf("little") },
    { name: `${root}/data/0`, data: storage },
    { name: `${root}/version`, data: bytesOf("3\n") },
  ];
}

/** What stands in a checkpoint in legacy form. */
export interface LegacyChoices {
  readonly magic?: Uint8Array;
  readonly protocol?: Uint8Array;
  readonly machine?: Uint8Array;
  readonly object?: Uint8Array;
  readonly keys?: Uint8Array;
  readonly storages?: readonly (readonly [count: number | bigint, data: Uint8Array])[];
}

/** The bytes of a checkpoint in legacy form. */
export function legacy(choices: LegacyChoices = {}): Buffer {
  const magic = Buffer.from("8a0a6cfc9c46f9206aa85019", "hex");
  const object = op.dict(op.text("w"), tensorOps({}, "legacy"));
  return Buffer.concat([
    pickle(choices.magic ?? magic),
    pickle(choices.protocol ?? op.int(1001)),
    pickle(choices.machine ?? op.dict(op.text("little_endian"), op.yes)),
    pickle(choices.object ?? object),
    pickle(choices.keys ?? op.list(op.text("0"))),
    ...(choices.storages ?? [[6, sixFloats]]).flatMap(([count, data]) => [
      little(count, 8),
      Buffer.from(data),
    ]),
  ]);
}

/** A tensor as plain numbers. */
interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** The tensors of a file in memory, as plain numbers. */
export async function readTorch(bytes: Uint8Array): Promise<Record<string, Numbers>> {
  const source = memorySource("pytorch_model.bin", bytes);
  const found: Record<string, Numbers> = {};
  for (const [name, entry] of (await readTorchHeader(source)).tensors) {
    const { shape, data } = await readTensor(source, entry);
    found[name] = { shape, data: Array.from(data, Number) };
  }
  return found;
}

/** Why a file is refused. */
export async function torchRefusal(bytes: Uint8Array): Promise<string> {
  const error = await readTorch(bytes).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error, "expected a refusal").toBeInstanceOf(PtuningError);
  expect((error as PtuningError).code).toBe("FILE_INVALID");
  expect((error as PtuningError).message).toMatch(/^pytorch_model\.bin: /);
  return (error as PtuningError).message;
}

/** What {@link tensorOps} stand for. */
export const whole: Numbers = { shape: [2, 3], data: [0, 1, 2, 3, 4, 5] };

/** A checkpoint in zip form of a pickle's opcodes. */
export const zipOf = (...ops: readonly Uint8Array[]): Buffer => zip(torchParts(pickle(...ops)));

/** A dict of one tensor, `w`. */
export const one = (choices: TensorChoices = {}): Buffer => op.dict(op.text("w"), tensorOps(choices));

/** Types of storages. */
const storageTypes: Readonly<Partial<Record<DType, string>>> = {
  ...{
    float32: "FloatStorage",
    float64: "DoubleStorage",
    float16: "HalfStorage",
    bfloat16: "BFloat16Storage",
  },
  ...{ int64: "LongStorage", int8: "CharStorage" },
};

/** A checkpoint of these tensors, row-major, each in a storage of its own. */
export function torchFile(tensors: Readonly<Record<string, Tensor>>, form: "zip" | "legacy" = "zip"): Buffer {
  const all = Object.entries(tensors);
  const bytes = all.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  const items = all.flatMap(([name, { dtype, shape, data }], i) => {
    const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    const type = op.global("torch", storageTypes[dtype]!);
    const choices = { key: String(i), type, count: op.int(data.length), size: shape, stride };
    return [op.text(name), tensorOps(choices, form)];
  });
  if (form === "legacy") {
    const keys = op.list(...all.map((_, i) => op.text(String(i))));
    const storages = all.map(([, { data }], i) => [data.length, bytes[i]!] as const);
    return legacy({ object: op.dict(...items), keys, storages });
  }
  const [pickled, ...rest] = torchParts(pickle(op.dict(...items)));
  const others = rest.filter(({ name }) => !name.endsWith("/0"));
  return zip([pickled!, ...others, ...bytes.map((data, i) => ({ name: `archive/data/${i}`, data }))]);
}
