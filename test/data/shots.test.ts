import fc from "fast-check";
import { drawShots, type TextExample, type TokenExample } from "ptuning/data";
import { completeConfig, parseConfig, readData } from "ptuning/internal/config";
import { describe, expect, test } from "vitest";

const labelled = (labels: readonly string[]): TextExample[] =>
  labels.map((label, i) => ({ text: `text ${i}`, label }));

describe("drawShots", () => {
  test("takes k of every label, or all where there are fewer, in the order of the file", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer(),
        (labels, k, seed) => {
          const examples = labelled(labels);
          const drawn = drawShots(examples, "text", k, seed);
          for (const label of ["a", "b", "c"]) {
            const [had, has] = [examples, drawn].map(
              (all) => all.filter((one) => one.label === label).length,
            );
            expect(has).toBe(Math.min(k, had!));
          }
          const places = drawn.map((example) => examples.indexOf(example));
          expect(places).toEqual(places.toSorted((a, b) => a - b));
          expect(drawShots(examples, "text", k, seed)).toEqual(drawn);
        },
      ),
    );
  });

  test("other seeds draw others", () => {
    const examples = labelled(Array.from({ length: 100 }, (_, i) => "ab"[i % 2]!));
    const draws = [1, 2, 3].map((seed) => JSON.stringify(drawShots(examples, "text", 4, seed)));
    expect(new Set(draws).size).toBe(3);
  });

  test("of sentences takes at least k of every type, and none that adds nothing", () => {
    const sentence = (...types: string[]): TokenExample => ({
      words: ["w", ...types],
      tags: ["O", ...types.map((type) => `B-${type}`)],
    });
    const examples = Array.from({ length: 90 }, (_, i) =>
      i % 3 === 0 ? sentence("PER") : i % 3 === 1 ? sentence("PER", "LOC") : sentence(),
    );
    const drawn = drawShots(examples, "tokens", 5, 1);
    const count = (type: string): number => drawn.filter(({ tags }) => tags!.includes(`B-${type}`)).length;
    expect(count("LOC")).toBe(5);
    expect(count("PER")).toBeGreaterThanOrEqual(5);
    expect(drawn.length).toBeLessThanOrEqual(10);
    expect(drawn.every(({ tags }) => tags!.length > 1)).toBe(true);
  });

  test("needs labels", () => {
    const examples: TextExample[] = [{ text: "a", score: 1 }];
    expect(() => drawShots(examples, "text", 1, 1)).toThrow(/shots: expected examples with labels/);
  });
});

test("data.shots and data.limit draw with data.sampleSeed, and leave dev and test alone", async () => {
  const read = async (...overrides: string[]) => {
    const train = "examples/01-support-intents/train.csv";
    const given = [`data.train=${train}`, "data.devShare=0.1", ...overrides];
    return readData(await completeConfig(parseConfig({ overrides: given })));
  };
  const [whole, five, again, other, limited] = await Promise.all([
    read(),
    read("data.shots=5"),
    read("data.shots=5", "data.sampleSeed=11"),
    read("data.shots=5", "data.sampleSeed=12"),
    read("data.limit=40", "data.sampleSeed=12"),
  ]);
  expect(five.train).toHaveLength(8 * 5);
  expect(five.labels).toEqual(whole.labels);
  expect(five.warnings).toContainEqual(
    "40 of 360 training examples are used, 5 per label, drawn with seed 11.",
  );
  expect(again.train).toEqual(five.train);
  expect(other.train).not.toEqual(five.train);
  for (const { dev } of [five, other, limited]) expect(dev).toEqual(whole.dev);
  expect(limited.train).toHaveLength(40);
});
