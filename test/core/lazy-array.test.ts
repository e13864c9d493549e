import { inspect, isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { lazyArray, lazyJoin, lazyMap, leaveOut, pickFrom } from "ptuning/internal/core";
import { describe, expect, test } from "vitest";

const objects = (count: number): { n: number }[] => Array.from({ length: count }, (_, n) => ({ n }));
const lazily = <E>(items: readonly E[]): readonly E[] => lazyArray(items.length, (i) => items[i]!);

/** What is asked of arrays; each answer is a value. */
const questions: readonly ((array: readonly { n: number }[]) => unknown)[] = [
  (array) => array.length,
  (array) => [array[0], array[2], array[array.length], Reflect.get(array, "01")],
  (array) => [array.at(0), array.at(-1), array.at(array.length), array.at(-array.length - 1)],
  (array) => [...array],
  (array) => [...array.entries()],
  (array) => [...array.keys()],
  (array) => [...array.values()],
  (array) => array.map(({ n }, i) => n + i),
  (array) => array.filter(({ n }) => n % 2 === 0),
  (array) => array.flatMap(({ n }) => [n, n]),
  (array) => array.slice(1, -1),
  (array) => array.toReversed(),
  (array) => array.toSorted((a, b) => b.n - a.n),
  (array) => array.concat(array),
  (array) => [[0], array].flat(),
  (array) => [array.every(({ n }) => n < 3), array.some(({ n }) => n === 2), array.find(({ n }) => n > 1)],
  (array) => array.reduce((sum, { n }) => sum + n, 0),
  (array) => Array.from(array, ({ n }) => n),
  (array) => Int32Array.from(array, ({ n }) => n),
  (array) => [0 in array, array.length in array, "map" in array],
  (array) => Object.keys(array),
  (array) => JSON.stringify(array),
  (array) => Array.isArray(array),
];

describe("a lazy array answers as an array does", () => {
  test.each([0, 1, 5])("of %i elements", (count) => {
    const [plain, lazy] = [objects(count), lazily(objects(count))];
    for (const ask of questions) expect(ask(lazy)).toEqual(ask(plain));
    expect(lazy).toEqual(plain);
    expect(isDeepStrictEqual([...lazy], plain)).toBe(true);
    expect(inspect(lazy)).toBe(inspect(plain));
  });

  test("a long one says that there is more", () => {
    expect(inspect(lazily(objects(1000)))).toMatch(/\{ n: 99 \},\s+\.\.\. 1 more item/);
  });

  test("it cannot be changed", () => {
    const lazy = lazily(objects(3)) as { n: number }[];
    expect(() => lazy.push({ n: 1 })).toThrow(TypeError);
    expect(() => lazy.sort()).toThrow(TypeError);
    expect(() => {
      lazy[0] = { n: 5 };
    }).toThrow(TypeError);
    expect(() => Reflect.deleteProperty(lazy, "0") || Object.freeze(lazy)).toThrow(TypeError);
    expect([...lazy]).toEqual(objects(3));
  });

  test("elements are made when they are read, and only then", () => {
    const made: number[] = [];
    const lazy = lazyArray(1_000_000, (i) => made.push(i));
    expect(lazyMap(pickFrom(lazy, [7, 999_999]), (n) => n).length).toBe(2);
    expect(made).toEqual([]);
    void lazy[41];
    void lazy.at(-1);
    expect(made).toEqual([41, 999_999]);
  });
});

test("parts of arrays, lazy or not, are those that arrays give", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.integer(), { maxLength: 9 }), { maxLength: 6 }), (parts) => {
      const whole = parts.flat();
      const joined = lazyJoin(parts.map((part, i) => (i % 2 === 0 ? part : lazily(part))));
      expect([...joined]).toEqual(whole);
      expect(whole.map((_, i) => joined[i])).toEqual(whole);
      const odd = Uint32Array.from(whole.keys()).filter((i) => whole[i]! % 2 !== 0);
      for (const items of [whole, joined]) {
        expect([...pickFrom(items, odd)]).toEqual(whole.filter((n) => n % 2 !== 0));
        expect([...leaveOut(items, odd)]).toEqual(whole.filter((n) => n % 2 === 0));
        expect([...lazyMap(items, (n, i) => n - i)]).toEqual(whole.map((n, i) => n - i));
      }
    }),
  );
});
