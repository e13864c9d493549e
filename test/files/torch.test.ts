/** Checkpoints of PyTorch in both forms: what they may hold, and where their tensors may lie. */
import { memorySource, readTorchHeader } from "ptuning/internal/files";
import { describe, expect, test } from "vitest";
import {
  legacy,
  one,
  op,
  pickle,
  readTorch,
  sixFloats,
  storageId,
  type TensorChoices,
  tensorOps,
  torchParts,
  torchRefusal,
  whole,
  zipOf,
} from "../support/pickles.ts";
import { little, zip } from "../support/zips.ts";

describe("what a checkpoint may hold", () => {
  test.each<[string, Buffer]>([
    ["a dict", zipOf(one())],
    [
      "an ordered dict",
      zipOf(
        op.global("collections", "OrderedDict"),
        op.emptyTuple,
        op.reduce,
        op.text("w"),
        tensorOps(),
        Buffer.from("s"),
      ),
    ],
    [
      "an ordered dict of an empty list",
      zipOf(
        op.global("collections", "OrderedDict"),
        op.tuple(op.emptyList),
        op.reduce,
        op.text("w"),
        tensorOps(),
        Buffer.from("s"),
      ),
    ],
    ["attributes of the dict", zipOf(one(), op.dict(op.text("_metadata"), op.emptyDict), op.build)],
    ["names from the stack", zipOf(one({ rebuild: op.stackGlobal("torch._utils", "_rebuild_tensor_v2") }))],
    [
      "a tensor without gradient",
      zipOf(
        one({
          rebuild: op.global("torch._utils", "_rebuild_tensor"),
          args: (storage) =>
            op.tuple(storage, op.int(0), op.tuple(op.int(2), op.int(3)), op.tuple(op.int(3), op.int(1))),
        }),
      ),
    ],
    [
      "a parameter",
      zipOf(
        op.dict(
          op.text("w"),
          op.global("torch._utils", "_rebuild_parameter"),
          op.tuple(tensorOps(), op.yes, op.dict()),
          op.reduce,
        ),
      ),
    ],
    [
      "a size",
      zipOf(
        one({
          args: (storage) =>
            op.tuple(
              storage,
              op.int(0),
              Buffer.concat([
                op.global("torch", "Size"),
                op.tuple(op.tuple(op.int(2), op.int(3))),
                op.reduce,
              ]),
              op.tuple(op.int(3), op.int(1)),
              op.no,
              op.dict(),
            ),
        }),
      ),
    ],
    [
      "plain values beside it",
      zipOf(
        op.dict(
          op.text("w"),
          tensorOps(),
          op.text("step"),
          op.int(3),
          op.text("rate"),
          Buffer.from("G?\xf0\0\0\0\0\0\0", "latin1"),
          op.text("none"),
          op.none,
          op.text("big"),
          op.long(2n ** 62n),
        ),
      ),
    ],
    ["the dict of a training program", zipOf(op.dict(op.text("epoch"), op.int(3), op.text("model"), one()))],
    ["the legacy form", legacy()],
    ["any root", zip(torchParts(pickle(one()), sixFloats, "Modell ü"))],
    [
      "no word on the order of bytes",
      zip(torchParts(pickle(one())).filter(({ name }) => !name.endsWith("byteorder"))),
    ],
    [
      "zip64 records",
      zip(
        torchParts(pickle(one())).map((part) => ({ ...part, wide: true })),
        { wide: true },
      ),
    ],
    ["sizes behind the data", zip(torchParts(pickle(one())).map((part) => ({ ...part, flags: 0x808 })))],
    ["a comment", zip(torchParts(pickle(one())), { comment: "PK\x05\x06, by hand" })],
    ["folders", zip([{ name: "archive/", data: Buffer.alloc(0) }, ...torchParts(pickle(one()))])],
  ])("%s", async (_name, bytes) => {
    expect(await readTorch(bytes)).toEqual({ w: whole });
  });

  test("tied tensors lie in one place, and strides are followed", async () => {
    const tensors = op.dict(
      ...[op.text("w"), tensorOps(), op.text("tied"), tensorOps()],
      ...[op.text("turned"), tensorOps({ size: [3, 2], stride: [1, 3] })],
      ...[op.text("cut"), tensorOps({ offset: op.int(1), size: [2, 2], stride: [3, 1] })],
      ...[op.text("spread"), tensorOps({ size: [2, 2], stride: [0, 1] })],
      ...[op.text("none"), tensorOps({ offset: op.int(99), size: [0, 3], stride: [3, 1] })],
      ...[op.text("scalar"), tensorOps({ offset: op.int(5), size: [], stride: [] })],
    );
    const bytes = zipOf(tensors);
    const { tensors: places } = await readTorchHeader(memorySource("x", bytes));
    expect(places.get("tied")).toEqual(places.get("w"));
    expect(places.get("w")!.strides).toBeUndefined();
    expect(await readTorch(bytes)).toEqual({
      w: whole,
      tied: whole,
      turned: { shape: [3, 2], data: [0, 3, 1, 4, 2, 5] },
      cut: { shape: [2, 2], data: [1, 2, 4, 5] },
      spread: { shape: [2, 2], data: [0, 1, 0, 1] },
      none: { shape: [0, 3], data: [] },
      scalar: { shape: [], data: [5] },
    });
  });
});

describe("tensors and storages", () => {
  const floats = op.global("torch", "FloatStorage");
  const id = (...items: readonly Uint8Array[]): Buffer => zipOf(one({ id: op.tuple(...items) }));
  const usual = [op.text("storage"), floats, op.text("0"), op.text("cpu"), op.int(6)];
  const tensor = (choices: TensorChoices): Buffer => zipOf(one(choices));
  test.each<[string, Buffer, string]>([
    ["an id that is no tuple", zipOf(one({ id: op.text("storage") })), "a tuple"],
    ["an id of a module", id(op.text("module"), ...usual.slice(1)), '"module"'],
    ["an id of five and one", id(...usual, op.none), "5 elements, got 6"],
    ["an id of four", id(...usual.slice(0, 4)), "5 elements, got 4"],
    [
      "an id whose type is a text",
      id(usual[0]!, op.text("FloatStorage"), ...usual.slice(2)),
      "type of storage",
    ],
    [
      "an id whose type is no storage",
      id(usual[0]!, op.global("collections", "OrderedDict"), ...usual.slice(2)),
      "collections.OrderedDict",
    ],
    [
      "an id with a number as key",
      id(usual[0]!, floats, op.int(0), usual[3]!, usual[4]!),
      "key and location",
    ],
    ["an id with a negative count", id(...usual.slice(0, 4), op.int(-6)), "a number of elements"],
    ["an id with a text as count", id(...usual.slice(0, 4), op.text("6")), "a number of elements"],
    [
      "an id with a count beyond all files",
      id(...usual.slice(0, 4), op.long(2n ** 62n)),
      "a number of elements",
    ],
    [
      "one storage of two types",
      zipOf(
        op.dict(
          op.text("a"),
          tensorOps(),
          op.text("b"),
          tensorOps({ type: op.global("torch", "IntStorage") }),
        ),
      ),
      "one type and size",
    ],
    ["a storage that is not there", tensor({ id: storageId({ key: "7" }) }), "no such storage"],
    ["a storage out of the folder", tensor({ id: storageId({ key: "../0" }) }), "no such storage"],
    ["a storage of fewer bytes", tensor({ id: storageId({ count: op.int(7) }) }), "28 bytes, got 24"],
    [
      "a storage of more bytes",
      tensor({ id: storageId({ count: op.int(5) }), size: [5], stride: [1] }),
      "20 bytes, got 24",
    ],
    [
      "a storage of wider numbers",
      tensor({ id: storageId({ type: op.global("torch", "DoubleStorage") }) }),
      "48 bytes, got 24",
    ],
    [
      "a tensor of no storage",
      zipOf(one({ args: () => op.tuple(floats, op.int(0), op.emptyTuple, op.emptyTuple, op.no, op.dict()) })),
      "a storage",
    ],
    ["a storage as a tensor", zipOf(op.dict(op.text("w"), storageId(), op.persistent)), "a dict of tensors"],
    ["a tensor beyond its storage", tensor({ offset: op.int(1) }), "an end at 7"],
    ["a stride beyond the storage", tensor({ stride: [4, 1] }), "an end at 7"],
    ["a negative offset", tensor({ offset: op.int(-1) }), "whole numbers"],
    ["a negative size", tensor({ size: [-2, -3] }), "whole numbers"],
    ["a negative stride", tensor({ offset: op.int(5), stride: [-3, -1] }), "whole numbers"],
    [
      "a size of texts",
      zipOf(
        one({
          args: (storage) =>
            op.tuple(storage, op.int(0), op.tuple(op.text("2")), op.tuple(op.int(1)), op.no, op.dict()),
        }),
      ),
      "whole numbers",
    ],
    ["more sizes than strides", tensor({ size: [2, 3, 1] }), "whole numbers"],
    [
      "a size as a list",
      zipOf(
        one({
          args: (storage) =>
            op.tuple(storage, op.int(0), op.list(op.int(2)), op.tuple(op.int(1)), op.no, op.dict()),
        }),
      ),
      "tuples",
    ],
    ["a size beyond all memory", tensor({ size: [2 ** 30, 2 ** 30], stride: [0, 0] }), "within storage"],
    [
      "too few arguments",
      zipOf(
        one({ args: (storage) => op.tuple(storage, op.int(0), op.tuple(op.int(6)), op.tuple(op.int(1))) }),
      ),
      "6 arguments, got 4",
    ],
    [
      "a tensor that is negated as it is read",
      zipOf(
        one({
          args: (storage) =>
            op.tuple(
              storage,
              op.int(0),
              op.tuple(op.int(6)),
              op.tuple(op.int(1)),
              op.no,
              op.dict(),
              op.dict(op.text("neg"), op.yes),
            ),
        }),
      ),
      "negative view",
    ],
    ["no dict", zipOf(tensorOps()), "a dict of tensors"],
    ["an empty dict", zipOf(op.emptyDict), "an empty one"],
    ["a dict of other things", zipOf(op.dict(op.text("net"), one())), "the keys net"],
    [
      "two dicts",
      zipOf(op.dict(op.text("model"), one(), op.text("state_dict"), one())),
      "state_dict and model",
    ],
  ])("%s", async (_name, bytes, named) => {
    expect(await torchRefusal(bytes)).toContain(named);
  });
});

describe("the legacy form", () => {
  const object = (choices: TensorChoices): Buffer => op.dict(op.text("w"), tensorOps(choices, "legacy"));
  test.each<[string, Buffer, string]>([
    ["another magic number", legacy({ magic: op.int(1) }), "another pickle"],
    ["another protocol", legacy({ protocol: op.int(1000) }), "1001"],
    ["big-endian numbers", legacy({ machine: op.dict(op.text("little_endian"), op.no) }), "little-endian"],
    ["no order", legacy({ machine: op.emptyDict }), "little-endian"],
    ["an id of the other form", legacy({ object: op.dict(op.text("w"), tensorOps()) }), "6 elements, got 5"],
    [
      "a view of a storage",
      legacy({
        object: object({
          id: op.tuple(
            op.text("storage"),
            op.global("torch", "FloatStorage"),
            op.text("0"),
            op.text("cpu"),
            op.int(6),
            op.tuple(op.text("1"), op.int(0), op.int(6)),
          ),
        }),
      }),
      "very old versions",
    ],
    ["keys that are no list", legacy({ keys: op.dict() }), "storage keys"],
    ["keys that are no texts", legacy({ keys: op.list(op.int(0)) }), "storage keys"],
    [
      "a key that nothing uses",
      legacy({ keys: op.list(op.text("0"), op.text("1")) }),
      '"1": expected a tensor',
    ],
    [
      "a key twice",
      legacy({
        keys: op.list(op.text("0"), op.text("0")),
        storages: [
          [6, sixFloats],
          [6, sixFloats],
        ],
      }),
      "listed twice",
    ],
    ["a storage that is not listed", legacy({ keys: op.emptyList }), "no such storage"],
    ["another number of elements", legacy({ storages: [[5, sixFloats]] }), "6 elements, got 5"],
    [
      "a negative number of elements",
      legacy({ storages: [[2n ** 64n - 6n, sixFloats]] }),
      "6 elements, got -6",
    ],
    ["an end in the midst of a storage", legacy().subarray(0, -1), "ends at byte"],
    ["no storage", legacy({ storages: [] }), "the file has"],
    [
      "five other pickles",
      Buffer.concat(Array.from({ length: 5 }, () => pickle(op.int(1)))),
      "another pickle",
    ],
    ["a text", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), "neither"],
    ["a safetensors file", Buffer.concat([little(2, 8), Buffer.from("{}")]), "neither"],
    ["an archive of tar", Buffer.concat([Buffer.from("storages"), Buffer.alloc(600)]), "neither"],
    ["nothing", Buffer.alloc(0), "neither"],
  ])("%s", async (_name, bytes, named) => {
    expect(await torchRefusal(bytes)).toContain(named);
  });

  test("a truncated file, wherever it ends", async () => {
    const bytes = legacy();
    for (let end = 0; end < bytes.length; end++)
      expect(await torchRefusal(bytes.subarray(0, end))).toBeTruthy();
  });

  test("pickles of megabytes are read, those of hundreds are not", async () => {
    const filled = (bytes: number): Buffer => {
      const text = op.text("x".repeat(999_000));
      const notes = op.list(...Array.from({ length: Math.ceil(bytes / text.length) }, () => text));
      return legacy({ object: op.dict(op.text("w"), tensorOps({}, "legacy"), op.text("notes"), notes) });
    };
    expect(await readTorch(filled(3_000_000))).toEqual({ w: whole });
    expect(await torchRefusal(filled(70_000_000))).toContain("at most 67108864 bytes");
  });
});
