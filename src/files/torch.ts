/**
 * Checkpoints of PyTorch (`pytorch_model.bin`) in both of its forms: a zip file since version 1.6, and before that pickles
 * with the storages behind them. Only the places of tensors are read; their bytes stay where they are. Nothing of a
 * file is ever run.
 */
import { type ByteSource, byteSize, PtuningError, shown, shownNames } from "../core/index.ts";
import { PickleList, PickleMap, type PickleRead, type PickleValue, readPickle } from "./pickle.ts";
import { isZip, storedEntries } from "./stored-zip.ts";
import { stridedEntry, type TensorEntry } from "./tensors.ts";
import { type StorageRef, type TorchRules, TorchTensor, torchRules } from "./torch-values.ts";

/** Ten thousand tensors take about two megabytes. */
const maxPickleBytes = 64 * 2 ** 20;

/** Names under which training programs keep the weights among other things. */
const wrappers = ["module", "state_dict", "model"] as const;

/** `torch.serialization.MAGIC_NUMBER` and `PROTOCOL_VERSION`. */
const [legacyMagic, legacyProtocol] = [0x1950a86a20f9469cfc6cn, 1001];

type Fail = (message: string) => never;

/** Where the bytes of a storage lie. */
interface StoragePlace {
  readonly offset: number;
  readonly byteLength: number;
}

/** What a checkpoint of PyTorch holds, and where; tensors of the same place are tied. */
export interface TorchHeader {
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * Finds the tensors of a checkpoint that `torch.save` wrote.
 * @throws FILE_INVALID naming the file and what stands in it: a call, a global or an opcode that no checkpoint of tensors
 *   needs, a tensor that leaves its storage, a storage that is missing or of another size, numbers in big-endian order,
 *   a damaged or compressed archive
 */
export async function readTorchHeader(source: ByteSource): Promise<TorchHeader> {
  const fail: Fail = (message) => {
    throw new PtuningError("FILE_INVALID", `${source.name}: ${message}`, {
      hint:
        "The file is damaged, or holds more than tensors, which is never run here. Where you trust it, save it anew " +
        "with transformers: model.save_pretrained(folder).",
    });
  };
  const { value, places, storages } = (await isZip(source))
    ? await readZipForm(source, fail)
    : await readLegacyForm(source, fail);
  for (const ref of storages.values()) checkStorage(ref, places.get(ref.key), fail);
  const tensors = new Map<string, TensorEntry>();
  for (const [name, { storage, first, shape, strides }] of tensorsIn(value, fail))
    tensors.set(name, stridedEntry(storage.dtype, shape, strides, places.get(storage.key)!.offset, first));
  return { tensors };
}

/** What one of the two forms says. */
interface TorchContents {
  readonly value: PickleValue;
  readonly storages: TorchRules["storages"];
  /** By key. */
  readonly places: ReadonlyMap<string, StoragePlace>;
}

function checkStorage({ key, dtype, count }: StorageRef, place: StoragePlace | undefined, fail: Fail): void {
  const expected = count * byteSize(dtype);
  if (place?.byteLength !== expected)
    fail(`storage ${shown(key)}: expected ${expected} bytes, got ${place?.byteLength ?? "no such storage"}.`);
}

async function readZipForm(source: ByteSource, fail: Fail): Promise<TorchContents> {
  const entries = await storedEntries(source);
  const roots = [...entries.keys()].flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? []);
  if (roots.length !== 1)
    fail(`expected one data.pkl in a folder, got ${roots.length === 0 ? "none" : shownNames(roots)}.`);
  const root = roots[0]!;
  const order = entries.get(`${root}/byteorder`);
  if (order !== undefined) {
    const text = new TextDecoder().decode(await source.read(order.offset, Math.min(order.byteLength, 80)));
    if (text !== "little") fail(`byteorder: expected "little", got ${shown(text)}.`);
  }
  const { offset, byteLength } = entries.get(`${root}/data.pkl`)!;
  if (byteLength > maxPickleBytes)
    fail(`data.pkl: expected at most ${maxPickleBytes} bytes, got ${byteLength}.`);
  const rules = torchRules("zip", fail);
  const read = readPickle(await source.read(offset, byteLength), 0, rules, fail);
  if (read === undefined) return fail("data.pkl: expected a whole pickle, got a truncated one.");
  const folder = `${root}/data/`;
  const places = [...entries]
    .filter(([name]) => name.startsWith(folder))
    .map(([name, place]): [string, StoragePlace] => [name.slice(folder.length), place]);
  return { value: read.value, storages: rules.storages, places: new Map(places) };
}

async function readLegacyForm(source: ByteSource, fail: Fail): Promise<TorchContents> {
  // How long the pickles are, they say themselves.
  for (let length = 2 ** 20; ; length *= 4) {
    const head = await source.read(0, Math.min(length, source.size, maxPickleBytes));
    const pickles = readLegacyPickles(head, fail);
    if (pickles !== undefined) return { ...pickles, places: await legacyPlaces(source, pickles, fail) };
    if (head.length === source.size) fail("expected five pickles and storages, got a truncated file.");
    if (head.length === maxPickleBytes) fail(`pickles: expected at most ${maxPickleBytes} bytes, got more.`);
  }
}

interface LegacyPickles extends Omit<TorchContents, "places"> {
  /** Keys of the storages, in the order of the file. */
  readonly keys: readonly string[];
  /** Where the storages begin. */
  readonly end: number;
}

/** @returns `undefined` if the bytes end before the pickles do */
function readLegacyPickles(bytes: Uint8Array, fail: Fail): LegacyPickles | undefined {
  const rules = torchRules("legacy", fail);
  let end = 0;
  const next = (): PickleRead | undefined => {
    const read = readPickle(bytes, end, rules, fail);
    end = read?.end ?? end;
    return read;
  };
  if (bytes[0] !== 0x80)
    fail("expected a checkpoint of PyTorch, got neither its zip form nor its older one.");
  const magic = next();
  if (magic === undefined) return undefined;
  if (magic.value !== legacyMagic) fail("expected a checkpoint of PyTorch, got another pickle.");
  const protocol = next();
  if (protocol === undefined) return undefined;
  if (protocol.value !== legacyProtocol)
    fail(`protocol: expected ${legacyProtocol}, got ${shown(protocol.value)}.`);
  const machine = next();
  if (machine === undefined) return undefined;
  if (!(machine.value instanceof PickleMap) || machine.value.entries.get("little_endian") !== true)
    fail("expected numbers in little-endian order, got others.");
  const object = next();
  const list = object && next();
  if (object === undefined || list === undefined) return undefined;
  const keys = list.value instanceof PickleList ? list.value.items : [];
  if (!(list.value instanceof PickleList) || !keys.every((key) => typeof key === "string"))
    return fail("expected a list of storage keys, got something else.");
  return { value: object.value, storages: rules.storages, keys, end };
}

/** Behind the pickles each storage stands as its number of elements and their bytes. */
async function legacyPlaces(
  source: ByteSource,
  { keys, storages, end }: LegacyPickles,
  fail: Fail,
): Promise<ReadonlyMap<string, StoragePlace>> {
  const places = new Map<string, StoragePlace>();
  let at = end;
  for (const key of keys) {
    const ref = storages.get(key);
    if (ref === undefined) return fail(`storage ${shown(key)}: expected a tensor of it, got none.`);
    if (places.has(key)) fail(`storage ${shown(key)}: listed twice.`);
    const bytes = await source.read(at, 8);
    const count = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
    if (count !== BigInt(ref.count))
      fail(`storage ${shown(key)}: expected ${ref.count} elements, got ${count}.`);
    const place = { offset: at + 8, byteLength: ref.count * byteSize(ref.dtype) };
    at = place.offset + place.byteLength;
    if (at > source.size) fail(`storage ${shown(key)}: ends at byte ${at}, the file has ${source.size}.`);
    places.set(key, place);
  }
  return places;
}

/** The tensors of a state dict: the file's own value, or the one of it that a training program's file holds. */
function tensorsIn(value: PickleValue, fail: Fail): [string, TorchTensor][] {
  if (!(value instanceof PickleMap)) return fail("expected a dict of tensors, got something else.");
  const own = tensorsOf(value);
  if (own.length > 0) return own;
  const within = wrappers.flatMap((name) => {
    const part = value.entries.get(name);
    const tensors = part instanceof PickleMap ? tensorsOf(part) : [];
    return tensors.length > 0 ? [{ name, tensors }] : [];
  });
  if (within.length === 1) return within[0]!.tensors;
  if (within.length > 1)
    fail(`expected one dict of tensors, got ${within.map(({ name }) => name).join(" and ")}.`);
  const keys = [...value.entries.keys()].map(String);
  return fail(
    `expected a dict of tensors (or one called ${wrappers.join(" or ")}), got ${keys.length === 0 ? "an empty one" : `the keys ${shownNames(keys)}`}.`,
  );
}

function tensorsOf({ entries }: PickleMap): [string, TorchTensor][] {
  return [...entries].filter(
    (entry): entry is [string, TorchTensor] =>
      typeof entry[0] === "string" && entry[1] instanceof TorchTensor,
  );
}
