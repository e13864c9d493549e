import { Rng } from "ptuning/internal/core";
import { SequenceCollector, type TokenSequences, tokenCount } from "ptuning/internal/text";
import { expect, test } from "vitest";

const count = 6000;

/** The arrays as bytes: millions of numbers are compared at once. */
const bytesOf = ({ ids, typeIds, starts, cut }: TokenSequences): Buffer =>
  Buffer.concat(
    [ids, typeIds, starts, cut].map(({ buffer, byteOffset, byteLength }) =>
      Buffer.from(buffer, byteOffset, byteLength),
    ),
  );

/** Sequences that get longer or shorter: what a part says of the whole is wrong. */
function collect(expected: number | undefined, lengthOf: (i: number) => number): TokenSequences {
  const collected = new SequenceCollector(expected);
  for (let i = 0; i < count; i++) {
    const ids = Int32Array.from({ length: lengthOf(i) }, (_, k) => i + k);
    collected.add(ids, new Uint8Array(ids.length).fill(i % 2), i % 3 === 0);
  }
  return collected.finish();
}

test.each<[string, (i: number) => number]>([
  ["as long as each other", () => 30],
  ["longer and longer", (i) => 1 + Math.floor(i / 50)],
  ["shorter and shorter", (i) => 200 - Math.floor(i / 50)],
  ["of random lengths", (i) => new Rng(3).split(i).integer(90)],
])("sequences are the same however many were expected: %s", (_, lengthOf) => {
  const plain = collect(undefined, lengthOf);
  expect(plain.count).toBe(count);
  for (let i = 0; i < count; i += 97) {
    expect(tokenCount(plain, i)).toBe(lengthOf(i));
    if (lengthOf(i) > 0) expect(plain.ids[plain.starts[i]!]).toBe(i);
  }
  for (const expected of [1, count / 2, count - 1, count, count + 1, 100 * count]) {
    const other = collect(expected, lengthOf);
    expect([other.count, other.truncated]).toEqual([plain.count, plain.truncated]);
    expect(bytesOf(other).equals(bytesOf(plain))).toBe(true);
  }
});

test("marks stand with their sequences, also where others have none", () => {
  const collected = new SequenceCollector();
  for (const marks of [[], [1, 2], [0], [], []]) collected.add([5, 6, 7], [0, 0, 0], false, marks);
  expect(collected.finish().marks).toEqual({
    most: 2,
    positions: Int32Array.of(0, 0, 1, 2, 0, 0, 0, 0, 0, 0),
    counts: Int32Array.of(0, 2, 1, 0, 0),
  });
});
