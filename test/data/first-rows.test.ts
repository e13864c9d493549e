import { FirstRows } from "ptuning/data";
import { Rng } from "ptuning/internal/core";
import { expect, test } from "vitest";

test("rows with equal keys are found among many, as a map finds them", () => {
  const rng = new Rng(4);
  const keys = Array.from({ length: 5000 }, () => [`a${rng.integer(3000)}`, `b${rng.integer(900)}`]);
  const rows = new FirstRows((row) => keys[row]!);
  const known = new Map<string, number>();
  for (const [row, own] of keys.entries()) {
    for (const key of own) {
      expect(rows.find(key)).toBe(known.get(key) ?? -1);
      if (!known.has(key)) known.set(key, row);
      expect(rows.add(row, key)).toBe(known.get(key));
    }
  }
  expect(rows.find("c1")).toBe(-1);
});

test("keys whose hashes are equal stay apart", () => {
  // Of 300,000 texts some share 32 bits almost surely.
  const rows = new FirstRows((row) => [`text ${row}`], 300_000);
  for (let row = 0; row < 300_000; row++) {
    if (rows.add(row, `text ${row}`) !== row) expect.unreachable(`text ${row} was taken for another`);
  }
});

test("the empty text is a key like any other", () => {
  const rows = new FirstRows(() => [""]);
  expect([rows.find(""), rows.add(0, ""), rows.add(1, ""), rows.find("")]).toEqual([-1, 0, 0, 0]);
});
