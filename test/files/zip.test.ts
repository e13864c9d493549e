/** Archives are read in place; what would have to be unpacked, or can be read in two ways, is refused. */
import fc from "fast-check";
import { PtuningError } from "ptuning/internal/core";
import { describe, expect, test } from "vitest";
import { one, pickle, readTorch, sixFloats, torchParts, torchRefusal } from "../support/pickles.ts";
import { zip } from "../support/zips.ts";

describe("damaged and hostile archives", () => {
  const good = torchParts(pickle(one()));
  /** The archive with one part otherwise. */
  const changed = (which: string, change: object): Buffer =>
    zip(good.map((part) => (part.name.endsWith(which) ? { ...part, ...change } : part)));
  test.each<[string, Buffer, string]>([
    ["a compressed entry", changed("data/0", { method: 8 }), "method 8"],
    ["one that only its own header calls so", changed("data/0", { localMethod: 8 }), "otherwise"],
    ["an encrypted entry", changed("data/0", { flags: 1 }), "encrypted"],
    ["one that only its own header calls so", changed("data/0", { localFlags: 1 }), "otherwise"],
    ["strong encryption", changed("data.pkl", { flags: 0x41 }), "strong encryption"],
    ["a masked header", changed("data.pkl", { flags: 0x2000 }), "encrypted"],
    [
      "another name in the entry's own header",
      changed("data/0", { localName: "archive/data/1" }),
      "otherwise",
    ],
    [
      "other sizes in the entry's own header",
      changed("data/0", { stored: 20, size: 20, extra: Buffer.alloc(0) }),
      "storage",
    ],
    ["a size that differs from the stored one", changed("data/0", { size: 99 }), "stand for 99"],
    ["a name twice", zip([...good, good[2]!]), "occurs twice"],
    ["the pickle twice", zip([...good, { name: "other/data.pkl", data: pickle(one()) }]), "one data.pkl"],
    ["no pickle", zip(good.slice(1)), "one data.pkl"],
    [
      "a name that leads out",
      zip([...good, { name: "archive/../../x", data: sixFloats }]),
      "invalid relative path",
    ],
    ["a name from the root", zip([...good, { name: "/etc/passwd", data: sixFloats }]), "absolute path"],
    ["a name for Windows", zip([...good, { name: "archive\\..\\x", data: sixFloats }]), "invalid characters"],
    ["a name with a NUL", zip([...good, { name: "archive/x\0y", data: sixFloats }]), "leads elsewhere"],
    ["a header elsewhere", changed("version", { header: 3 }), "something else"],
    ["a header beyond the directory", changed("version", { header: 2 ** 31 }), "expected bytes"],
    ["a header beyond all numbers", changed("version", { wide: true, header: 2 ** 60 }), "expected bytes"],
    [
      "two entries in one place",
      changed("version", { header: 0, localName: "archive/version" }),
      "something else begins",
    ],
    ["an entry over the next", changed("byteorder", { stored: 60, size: 60 }), "something else begins"],
    ["extra fields that are cut", changed("data/0", { extra: Buffer.of(1, 0, 99, 0) }), "extra field"],
    ["an archive in parts", zip(good, { disk: 1 }), "multi-disk"],
    ["fewer entries than there are", zip(good, { entries: 3 }), "expected 3 entries, got more"],
    ["more entries than there are", zip(good, { entries: 5 }), "expected bytes"],
    ["two numbers of entries", zip(good, { wide: true, wideEntries: 3 }), "expected 3 entries, got more"],
    ["a zip64 record elsewhere", zip(good, { wide: true, locator: 0 }), "zip64"],
    ["a zip64 record beyond the file", zip(good, { wide: true, locator: 2 ** 40 }), "expected bytes"],
    ["a directory elsewhere", zip(good, { directoryAt: 0 }), "directory"],
    ["something in front", zip(good, { before: Buffer.from("#!/bin/sh\n"), directoryAt: 10 }), "neither"],
    ["something behind", Buffer.concat([zip(good), Buffer.from("more")]), "extra bytes"],
    [
      "big-endian numbers",
      changed("byteorder", { data: Buffer.from("big") }),
      'byteorder: expected "little", got "big"',
    ],
    ["no order at all", changed("byteorder", { data: Buffer.alloc(0) }), "byteorder"],
    ["a cut pickle", zip(torchParts(pickle(one()).subarray(0, 80))), "truncated"],
    ["nothing but its end", zip([]), "one data.pkl"],
  ])("%s", async (_name, bytes, named) => {
    expect(await torchRefusal(bytes)).toContain(named);
  });

  test("a truncated archive, wherever it ends", async () => {
    const bytes = zip(good);
    for (let end = 0; end < bytes.length; end++)
      expect(await torchRefusal(bytes.subarray(0, end))).toBeTruthy();
  });

  test("any flipped byte of its records is an error or changes nothing but names and data", async () => {
    const bytes = zip(
      good.map((part) => ({ ...part, wide: true })),
      { wide: true },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, byte) => {
        const other = Buffer.from(bytes);
        other[at] = byte;
        const answer = await readTorch(other).catch((error: unknown) => error);
        if (answer instanceof Error) expect(answer).toBeInstanceOf(PtuningError);
        else expect(Object.values(answer as object)[0]).toMatchObject({ shape: expect.any(Array) });
      }),
      { numRuns: 2000 },
    );
  });
});
