/** Checkpoints of PyTorch are read without running anything: whatever else stands in one is refused by its name. */
import { mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { PtuningError } from "ptuning/internal/core";
import { afterAll, describe, expect, test } from "vitest";
import {
  legacy,
  one,
  op,
  pickle,
  readTorch,
  tensorOps,
  torchParts,
  torchRefusal,
  zipOf,
} from "../support/pickles.ts";
import { little, zip } from "../support/zips.ts";

describe("nothing is run", () => {
  const folder = mkdtempSync(join(tmpdir(), "ptuning-pickle-"));
  afterAll(() => rm(folder, { recursive: true }));
  const command = (name: string): Buffer => op.tuple(op.text(`touch ${join(folder, name)}`));

  test.each<[string, Buffer[], string]>([
    ["a call of the shell", [op.global("posix", "system"), command("a"), op.reduce], '"posix.system"'],
    ["the same from the stack", [op.stackGlobal("os", "system"), command("b"), op.reduce], '"os.system"'],
    ["a builtin", [op.global("builtins", "eval"), op.tuple(op.text("1")), op.reduce], '"builtins.eval"'],
    [
      "a name within an allowed module",
      [op.global("torch._utils", "import_module")],
      '"torch._utils.import_module"',
    ],
    [
      "a dotted name",
      [op.stackGlobal("torch", "_utils._rebuild_tensor_v2")],
      '"torch._utils._rebuild_tensor_v2"',
    ],
    [
      "a dotted name through a class",
      [op.global("collections", "OrderedDict.fromkeys")],
      '"collections.OrderedDict.fromkeys"',
    ],
    ["a name with the module's in it", [op.stackGlobal("", "collections\nOrderedDict")], "OrderedDict"],
    ["a name that differs in case", [op.global("torch", "floatstorage")], '"torch.floatstorage"'],
    ["names of JavaScript's", [op.global("__proto__", "constructor")], '"__proto__.constructor"'],
    [
      "a newer tensor",
      [op.global("torch._utils", "_rebuild_tensor_v3")],
      '"torch._utils._rebuild_tensor_v3"',
    ],
    [
      "a configuration",
      [op.global("transformers.configuration_utils", "PretrainedConfig")],
      "PretrainedConfig",
    ],
    [
      "a call of a storage",
      [op.global("torch", "FloatStorage"), op.tuple(op.int(9)), op.reduce],
      "torch.FloatStorage",
    ],
    ["a call of a text", [op.text("posix.system"), op.emptyTuple, op.reduce], "a call of what is no name"],
    [
      "a call with a list",
      [op.global("collections", "OrderedDict"), op.emptyList, op.reduce],
      "tuple of arguments",
    ],
    [
      "an ordered dict of pairs",
      [
        op.global("collections", "OrderedDict"),
        op.tuple(op.list(op.tuple(op.text("a"), op.int(1)))),
        op.reduce,
      ],
      "OrderedDict",
    ],
    [
      "an ordered dict of two",
      [op.global("collections", "OrderedDict"), op.tuple(op.emptyList, op.emptyList), op.reduce],
      "OrderedDict",
    ],
    [
      "a size of texts",
      [op.global("torch", "Size"), op.tuple(op.tuple(op.text("2"))), op.reduce],
      "torch.Size",
    ],
    [
      "a parameter of no tensor",
      [op.global("torch._utils", "_rebuild_parameter"), op.tuple(op.int(1), op.no, op.dict()), op.reduce],
      "parameter",
    ],
    ["attributes of a tensor", [tensorOps(), op.dict(op.text("grad"), op.none), op.build], "BUILD"],
    ["attributes of a name", [op.global("collections", "OrderedDict"), op.emptyDict, op.build], "BUILD"],
    ["attributes of a list", [op.emptyList, op.emptyDict, op.build], "BUILD"],
  ])("%s", async (_name, ops, named) => {
    expect(await torchRefusal(zipOf(...ops))).toContain(named);
    // Nor deep within what is otherwise a checkpoint, or in the other pickles of a legacy file.
    const within = op.dict(op.text("w"), tensorOps(), op.text("extra"), op.list(...ops));
    expect(await torchRefusal(zipOf(within))).toContain(named);
    const all = Buffer.concat(ops);
    // There a storage is written otherwise.
    if (all.includes("FloatStorage\nX")) return;
    for (const part of ["magic", "protocol", "machine", "object", "keys"])
      expect(await torchRefusal(legacy({ [part]: all }))).toContain(named);
    expect(await readdir(folder)).toEqual([]);
  });

  /** Those of plain data are allowed; of these messages say the name. */
  const opcodes = `
    POP 30 POP_MARK 31 DUP 32 BINBYTES 42 SHORT_BINBYTES 43 FLOAT 46 INT 49 LONG 4c PERSID 50 STRING 53 UNICODE 56 DICT 64
    GET 67 INST 69 LIST 6c OBJ 6f PUT 70 NEWOBJ 81 EXT1 82 EXT2 83 EXT4 84 LONG4 8b BINUNICODE8 8d BINBYTES8 8e EMPTY_SET 8f
    ADDITEMS 90 FROZENSET 91 NEWOBJ_EX 92 BYTEARRAY8 96 NEXT_BUFFER 97 READONLY_BUFFER 98
  `;
  const allowed = new Set(
    Buffer.from(
      "8095 2e284e88894a4b4d8a47588c545529 748586875d61657d7375717294686a6393 515262".replaceAll(" ", ""),
      "hex",
    ),
  );
  test("every byte that is none of the allowed opcodes is refused by its name", async () => {
    const names = new Map(
      [...opcodes.matchAll(/(\w+) ([0-9a-f]{2})\b/g)].map(([, name, code]) => [
        Number.parseInt(code!, 16),
        name!,
      ]),
    );
    for (let code = 0; code < 256; code++) {
      if (allowed.has(code)) continue;
      const message = await torchRefusal(zipOf(Buffer.of(code), Buffer.from("posix\nsystem\n")));
      expect(message).toContain(`pickle, byte 3: expected opcodes of plain data`);
      expect(message).toContain(names.get(code) ?? `0x${code.toString(16).padStart(2, "0")}`);
    }
    expect(allowed.size + names.size).toBe(68);
  });
});

describe("damaged and hostile pickles", () => {
  const deep = (times: number, opcode: number, start: Buffer): Buffer =>
    Buffer.concat([start, Buffer.alloc(times, opcode)]);
  test.each<[string, Buffer, string]>([
    ["a newer protocol", Buffer.concat([op.proto(6), one(), op.stop]), "protocol"],
    ["an empty stack", pickle(op.build), "a value on the stack"],
    ["too few values", pickle(op.int(1), op.reduce), "2 values on the stack"],
    ["no mark", pickle(Buffer.from("t")), "a mark"],
    ["a mark left open", pickle(op.mark, one()), "one value at the end"],
    ["a second value", pickle(one(), op.int(1)), "one value at the end"],
    ["an odd number of values", pickle(op.dict(op.text("w"))), "pairs"],
    ["a list as a key", pickle(op.dict(op.emptyList, op.int(1))), "keys"],
    ["a tuple as a key", pickle(op.dict(op.emptyTuple, op.int(1))), "keys"],
    ["a key twice", pickle(op.dict(op.text("w"), tensorOps(), op.text("w"), op.int(1))), '"w" again'],
    ["an item in a list", pickle(op.emptyList, op.text("a"), op.int(1), Buffer.from("s")), "a dict"],
    ["an item of a dict as of a list", pickle(op.emptyDict, op.text("a"), Buffer.from("a")), "a list"],
    ["a value that was not kept", pickle(op.get(7)), "kept as 7"],
    ["a global of numbers", pickle(op.int(1), op.int(2), Buffer.of(0x93)), "two texts"],
    ["bytes that are no text", pickle(Buffer.from("X\x01\0\0\0\xff", "latin1")), "UTF-8"],
    ["a text of a gigabyte", pickle(Buffer.from("X"), little(2 ** 30, 4)), "at most 1000000 bytes"],
    [
      "a name without an end",
      pickle(Buffer.from("c"), Buffer.alloc(1_100_000, "a")),
      "at most 1000000 bytes",
    ],
    ["a number of 200 bytes", pickle(Buffer.of(0x8a, 200), Buffer.alloc(200, 1)), "at most 32 bytes"],
    ["tuples in tuples", pickle(deep(1000, 0x85, op.emptyTuple)), "nested"],
    ["marks in marks", pickle(deep(1000, 0x28, op.none)), "nested"],
    ["lists in lists", pickle(Buffer.alloc(1000, 0x5d), Buffer.alloc(999, 0x61)), "nested"],
    [
      "a list in itself, again and again",
      pickle(
        op.emptyList,
        op.put(0),
        ...Array.from({ length: 100 }, () => Buffer.concat([op.get(0), Buffer.from("a")])),
      ),
      "nested",
    ],
    ["too many opcodes", pickle(op.emptyList, Buffer.alloc(10_000_001, 0x4e)), "10000000 opcodes"],
  ])("%s", async (_name, data, named) => {
    expect(await torchRefusal(zip(torchParts(data)))).toContain(named);
  });

  test("a pickle that doubles itself takes no memory", async () => {
    const double = Buffer.concat([op.mark, op.get(0), op.get(0), Buffer.from("t"), op.put(0)]);
    const laughs = Buffer.concat([
      op.tuple(op.int(1)),
      op.put(0),
      ...Array.from({ length: 50 }, () => double),
    ]);
    const value = op.list(laughs);
    expect(await torchRefusal(zipOf(value))).toContain("a dict of tensors");
  });

  test("any cut and any flipped byte of a pickle is an error or a checkpoint, never a crash", async () => {
    const data = pickle(
      op.dict(op.text("w"), tensorOps(), op.text("v"), tensorOps({ size: [3, 2], stride: [1, 3] })),
    );
    const change = fc.tuple(fc.nat(data.length - 1), fc.nat(255), fc.nat(data.length));
    await fc.assert(
      fc.asyncProperty(change, async ([at, byte, end]) => {
        const other = Buffer.from(data);
        other[at] = byte;
        for (const bytes of [other, other.subarray(0, end)]) {
          const answer = await readTorch(zip(torchParts(bytes))).catch((error: unknown) => error);
          if (!(answer instanceof PtuningError)) expect(answer).toBeTypeOf("object");
          if (answer instanceof Error) expect(answer).toBeInstanceOf(PtuningError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
