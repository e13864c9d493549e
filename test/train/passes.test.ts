import fc from "fast-check";
import { cutPasses } from "ptuning/internal/train";
import { describe, expect, test } from "vitest";

const widths = { minilm: 1536, base: 3072, large: 4096 };
const equal = (count: number, rows: number): number[] => new Array(count).fill(rows);
const sizesOf = (ends: readonly number[]): number[] => ends.map((end, i) => end - (ends[i - 1] ?? 0));

describe("passes of a batch", () => {
  test("texts of one length stay together while they fit the caches, else are cut into equal parts", () => {
    expect(cutPasses(equal(32, 20), widths.minilm, 32)).toEqual([32]);
    expect(cutPasses(equal(32, 64), widths.base, 32)).toEqual([8, 16, 24, 32]);
    expect(sizesOf(cutPasses(equal(10, 64), widths.base, 32))).toEqual([5, 5]);
    expect(cutPasses(equal(3, 512), widths.large, 32)).toEqual([1, 2, 3]);
  });

  test("short texts are not padded to a long one where that costs more than a pass", () => {
    expect(cutPasses([...equal(31, 10), 100], widths.minilm, 32)).toEqual([31, 32]);
    expect(cutPasses([...equal(31, 10), 12], widths.minilm, 32)).toEqual([32]);
    // A pass of a wide backbone costs fewer tokens.
    expect(cutPasses([...equal(15, 10), 14], widths.minilm, 32)).toEqual([16]);
    expect(cutPasses([...equal(15, 10), 14], widths.base, 32)).toEqual([15, 16]);
  });

  test("cover the batch, are no larger than asked for, and cost no more than any other cut", () => {
    const batches = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(batches, fc.integer({ min: 1, max: 9 }), (lengths, most) => {
        const rows = lengths.toSorted((a, b) => a - b);
        const ends = cutPasses(rows, widths.minilm, most);
        expect(ends.at(-1)).toBe(rows.length);
        expect(Math.max(...sizesOf(ends))).toBeLessThanOrEqual(most);
        expect(Math.min(...sizesOf(ends))).toBeGreaterThan(0);
        const all = Array.from({ length: 2 ** (rows.length - 1) }, (_, cuts) =>
          rows.flatMap((_, i) => (i === rows.length - 1 || (cuts >> i) & 1 ? [i + 1] : [])),
        ).filter((other) =>
          sizesOf(other).every(
            (size, i) => size === 1 || size <= Math.min(most, 1024 / rows[other[i]! - 1]!),
          ),
        );
        expect(cost(rows, ends)).toBeCloseTo(Math.min(...all.map((other) => cost(rows, other))), 6);
      }),
    );
  });
});

/** Tokens with padding, and what passes cost; MiniLM. */
function cost(rows: readonly number[], ends: readonly number[]): number {
  return ends.reduce((sum, end, i) => {
    const tokens = (end - (ends[i - 1] ?? 0)) * rows[end - 1]!;
    return sum + (14_000 / 1536) ** 2 + tokens * (1 + 1e-6 * tokens);
  }, 0);
}
