/**
 * What PyTorch's checkpoints hold: tensors that are stretches of storages, in dicts. The allowed names of Python's and
 * what their calls give, without a call of anything.
 */
import { byteSize, type DType, shown } from "../core/index.ts";
import { PickleList, PickleMap, type PickleRules, PickleTuple, type PickleValue } from "./pickle.ts";
import { spanOf } from "./tensors.ts";

/** A stretch of numbers in the file that tensors are made of. */
export interface StorageRef {
  readonly dtype: DType;
  readonly key: string;
  /** Elements. */
  readonly count: number;
}

/** A tensor in a storage. */
export class TorchTensor {
  readonly storage: StorageRef;
  /** Its first element, counted in the storage. */
  readonly first: number;
  readonly shape: readonly number[];
  /** Elements from one to the next along each axis. */
  readonly strides: readonly number[];

  constructor(storage: StorageRef, first: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.first = first;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A name of Python's; it stands for itself alone. */
class Global {
  readonly module: string;
  readonly name: string;
  readonly dtype: DType | undefined;

  constructor(module: string, name: string, dtype?: DType) {
    this.module = module;
    this.name = name;
    this.dtype = dtype;
  }
}

/** A storage that a persistent id speaks of; only tensors may be made of it. */
class Storage {
  readonly ref: StorageRef;

  constructor(ref: StorageRef) {
    this.ref = ref;
  }
}

/** Every name that may occur, with the element type where it is a storage's. */
const globals: readonly Global[] = [
  new Global("collections", "OrderedDict"),
  new Global("torch._utils", "_rebuild_tensor"),
  new Global("torch._utils", "_rebuild_tensor_v2"),
  new Global("torch._utils", "_rebuild_parameter"),
  new Global("torch", "Size"),
  new Global("torch", "FloatStorage", "float32"),
  new Global("torch", "HalfStorage", "float16"),
  new Global("torch", "BFloat16Storage", "bfloat16"),
  new Global("torch", "DoubleStorage", "float64"),
  new Global("torch", "LongStorage", "int64"),
  new Global("torch", "IntStorage", "int32"),
  new Global("torch", "ShortStorage", "int16"),
  new Global("torch", "CharStorage", "int8"),
  new Global("torch", "ByteStorage", "uint8"),
  new Global("torch", "BoolStorage", "bool"),
];

/** The two layouts of persistent ids: in legacy files a sixth element tells of views, which today's do not have. */
export type TorchForm = "zip" | "legacy";

/** The rules of a checkpoint's pickles, and every storage that they speak of, by its key. */
export interface TorchRules extends PickleRules {
  readonly storages: ReadonlyMap<string, StorageRef>;
}

/** @param fail throws, naming the file */
export function torchRules(form: TorchForm, fail: (message: string) => never): TorchRules {
  const storages = new Map<string, StorageRef>();
  return {
    storages,
    global(module, name) {
      const found = globals.find((one) => one.module === module && one.name === name);
      return found ?? fail(`expected tensors and plain values, got ${shown(`${module}.${name}`)}.`);
    },
    call(callee, { items }) {
      if (!(callee instanceof Global) || callee.dtype !== undefined)
        return fail(`expected tensors and plain values, got a call of ${named(callee)}.`);
      switch (callee.name) {
        case "OrderedDict":
          return emptyMap(items, fail);
        case "_rebuild_tensor":
        case "_rebuild_tensor_v2":
          return tensorOf(items, callee.name === "_rebuild_tensor" ? [4, 4] : [6, 7], fail);
        case "_rebuild_parameter":
          if (items.length === 3 && items[0] instanceof TorchTensor) return items[0];
          return fail("parameter: expected a tensor and two settings, got something else.");
        default:
          // A size is the tuple that it is made of.
          if (items.length === 1 && items[0] instanceof PickleTuple && isLengths(items[0].items))
            return items[0];
          return fail("torch.Size: expected lengths, got something else.");
      }
    },
    persistent(id) {
      const ref = storageOf(id, form, fail);
      const known = storages.get(ref.key) ?? ref;
      if (known.dtype !== ref.dtype || known.count !== ref.count)
        fail(`storage ${shown(ref.key)}: expected one type and size, got two.`);
      storages.set(ref.key, known);
      return new Storage(known);
    },
  };
}

function named(value: PickleValue): string {
  return value instanceof Global ? shown(`${value.module}.${value.name}`) : "what is no name";
}

function emptyMap(items: readonly PickleValue[], fail: (message: string) => never): PickleMap {
  const [list] = items;
  const isEmpty = items.length === 0 || (list instanceof PickleList && list.items.length === 0);
  if (!isEmpty || items.length > 1) fail("OrderedDict: expected an empty one, got arguments.");
  return new PickleMap();
}

function storageOf(id: PickleValue, form: TorchForm, fail: (message: string) => never): StorageRef {
  if (!(id instanceof PickleTuple)) return fail("persistent id: expected a tuple, got something else.");
  const [kind, type, key, location, count, viewed] = id.items;
  if (kind !== "storage") fail(`persistent id: expected "storage", got ${plain(kind)}.`);
  const length = form === "zip" ? 5 : 6;
  if (id.items.length !== length) fail(`persistent id: expected ${length} elements, got ${id.items.length}.`);
  if (form === "legacy" && viewed !== null)
    fail("persistent id: expected a whole storage, got a view as very old versions of PyTorch wrote it.");
  if (!(type instanceof Global) || type.dtype === undefined)
    return fail(`persistent id: expected a type of storage, got ${named(type ?? null)}.`);
  if (typeof key !== "string" || typeof location !== "string")
    return fail("persistent id: expected texts as key and location, got something else.");
  if (!isLength(count) || !Number.isSafeInteger(count * byteSize(type.dtype)))
    return fail(`storage ${shown(key)}: expected a number of elements, got ${plain(count)}.`);
  return { dtype: type.dtype, key, count };
}

function tensorOf(
  items: readonly PickleValue[],
  [least, most]: readonly [number, number],
  fail: (message: string) => never,
): TorchTensor {
  const [storage, first, size, stride, , , marks] = items;
  if (items.length < least || items.length > most)
    fail(`tensor: expected ${least} arguments, got ${items.length}.`);
  if (!(storage instanceof Storage)) return fail("tensor: expected a storage, got something else.");
  if (!(size instanceof PickleTuple) || !(stride instanceof PickleTuple))
    return fail("tensor: expected tuples as size and stride, got something else.");
  // Numbers whose sign is turned, or that are conjugated, when they are read.
  if (marks instanceof PickleMap ? marks.entries.size > 0 : (marks ?? null) !== null)
    return fail("tensor: expected plain numbers, got ones with marks, such as of a negative view.");
  const [shape, strides] = [size.items, stride.items];
  if (!isLength(first) || !isLengths(shape) || !isLengths(strides) || shape.length !== strides.length)
    return fail("tensor: expected whole numbers of at least 0 as offset, size and stride, got others.");
  const { ref } = storage;
  const count = shape.reduce((product, length) => product * length, 1);
  const span = spanOf(shape, strides);
  // One without elements may be said to lie anywhere.
  const end = span === 0 ? 0 : first + span;
  if (!Number.isSafeInteger(count) || !(end <= ref.count))
    fail(
      `tensor ${shown(shape)} at ${first}, strides ${shown(strides)}: expected it within storage ${shown(ref.key)} of ` +
        `${ref.count} elements, got an end at ${end}.`,
    );
  return new TorchTensor(ref, span === 0 ? 0 : first, shape, strides);
}

function isLength(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isLengths(values: readonly PickleValue[]): values is readonly number[] {
  return values.every(isLength);
}

/** A value as a message quotes it, where it is a plain one. */
function plain(value: PickleValue | undefined): string {
  return typeof value === "object" && value !== null ? "something else" : shown(value);
}
