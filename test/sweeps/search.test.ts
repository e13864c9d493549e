/** What a search tries, and what it says of the results. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parseConfig, type SearchConfig } from "ptuning/internal/config";
import { Rng } from "ptuning/internal/core";
import {
  drawPoints,
  gridPoints,
  importances,
  levelsOf,
  type Point,
  type Search,
  strategies,
} from "ptuning/internal/sweeps";
import { describe, expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const search = (change: Partial<SearchConfig>): Search => ({ space: {}, seed: 11, ...change });
/** All batches of a search; every trial gets the score that `scoreOf` gives. */
function batchesOf(
  name: keyof typeof strategies,
  what: Search,
  scoreOf: (point: Point) => number | undefined = () => 0,
  most = 1000,
): Point[][] {
  const batches: Point[][] = [];
  const asked = strategies[name].batches(what);
  for (let next = asked.next(scoreOf); !next.done; next = asked.next(scoreOf)) {
    const batch: Point[] = [];
    for (const point of next.value) if (batch.push(point) === most) break;
    batches.push(batch);
  }
  return batches;
}

describe("spaces", () => {
  test("a grid has every combination once, the last key fastest", () => {
    const space = {
      a: [1, 2],
      b: { uniform: [0, 1], step: 0.5 } as const,
      c: { logUniform: [1e-3, 1e-1], points: 3 } as const,
    };
    const points = gridPoints(space);
    expect(points).toHaveLength(18);
    expect(points.slice(0, 3).map(({ c }) => c)).toEqual([1e-3, 1e-2, 1e-1]);
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(18);
    expect([...new Set(points.map(({ b }) => b))]).toEqual([0, 0.5, 1]);
    expect(() => gridPoints({ a: { uniform: [0, 1] } })).toThrow(/search\.space\.a: expected .* points/);
  });

  test("drawn points differ, lie inside, and follow the range's scale", () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: 1e-6, max: 1, noNaN: true }), (seed, low) => {
        const high = low * 100;
        const space = {
          log: { logUniform: [low, high] },
          even: { uniform: [low, high] },
          whole: { uniform: [3, 40], step: 4 },
          choice: ["a", "b"],
        } as const;
        const points: Point[] = [];
        for (const point of drawPoints(space, new Rng(seed))) if (points.push(point) === 100) break;
        expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(100);
        const close = 1e-3;
        for (const { log, even, whole } of points as { log: number; even: number; whole: number }[]) {
          for (const value of [log, even]) {
            expect(value).toBeGreaterThanOrEqual(low * (1 - close));
            expect(value).toBeLessThanOrEqual(high * (1 + close));
          }
          expect([4, 8, 12, 16, 20, 24, 28, 32, 36, 40]).toContain(whole);
        }
        const below = (key: string): number =>
          points.filter((point) => (point[key] as number) < low * 10).length;
        expect(below("log")).toBeGreaterThan(25);
        expect(below("even")).toBeLessThan(25);
      }),
      { numRuns: 30 },
    );
  });

  test("a space without further points ends", () => {
    expect([...drawPoints({ a: [1, 2, 3], b: ["x"] }, new Rng(1))]).toHaveLength(3);
  });
});

describe("strategies", () => {
  const space = { a: [1, 2, 3, 4], b: [1, 2, 3] };

  test("a grid under a budget is in random order, and the same one again", () => {
    const [plain] = batchesOf("grid", search({ space }));
    const [shuffled] = batchesOf("grid", search({ space, runs: 5 }));
    expect(plain).toEqual(gridPoints(space));
    expect(shuffled).not.toEqual(plain);
    expect(new Set(shuffled!.map((point) => JSON.stringify(point)))).toEqual(
      new Set(plain!.map((point) => JSON.stringify(point))),
    );
    expect(batchesOf("grid", search({ space, runs: 5 }))).toEqual([shuffled]);
    expect(strategies.grid.count(search({ space, runs: 5 }))).toBe(5);
    expect(strategies.grid.count(search({ space }))).toBe(12);
  });

  test("a random search needs a budget", () => {
    expect(() => strategies.random.count(search({ space }))).toThrow(/runs or minutes/);
    expect(batchesOf("random", search({ space, runs: 4 }))[0]).toHaveLength(12);
  });

  test("halving keeps the best of each rung and gives them more", () => {
    const wide = { a: { uniform: [0, 1] } } as const;
    const halving = { resource: "training.epochs", least: 1, most: 9, factor: 3 };
    const rungs = batchesOf("halving", search({ space: wide, halving }), ({ a }) => a as number);
    expect(rungs.map((rung) => rung.length)).toEqual([9, 3, 1]);
    expect(rungs.map((rung) => rung[0]!["training.epochs"])).toEqual([1, 3, 9]);
    const values = rungs.map((rung) => rung.map(({ a }) => a as number));
    expect(values[1]).toEqual(values[0]!.toSorted((x, y) => y - x).slice(0, 3));
    expect(values[2]).toEqual([Math.max(...values[0]!)]);
    expect(strategies.halving.count(search({ space: wide, halving }))).toBe(13);
  });

  test("halving drops what failed, and fits a budget of runs", () => {
    const wide = { a: { uniform: [0, 1] } } as const;
    const halving = { resource: "data.limit", least: 10, most: 100, factor: 2, configurations: 8 };
    const rungs = batchesOf("halving", search({ space: wide, halving }), ({ a }) =>
      (a as number) < 0.5 ? (a as number) : undefined,
    );
    expect(rungs.map((rung) => rung[0]?.["data.limit"])).toEqual([13, 25, 50, 100]);
    for (const rung of rungs.slice(1)) for (const { a } of rung) expect(a).toBeLessThan(0.5);
    for (const runs of [7, 24, 40]) {
      const { configurations, ...open } = halving;
      const total = batchesOf("halving", search({ space: wide, halving: open, runs })).flat().length;
      expect(total).toBeLessThanOrEqual(runs);
      expect(total).toBeGreaterThan(runs - 4);
    }
    expect(() => strategies.halving.count(search({ space: wide }))).toThrow(/least, most/);
  });
});

describe("the search section of a configuration", () => {
  const parse = (text: string): SearchConfig | undefined =>
    parseConfig({ text: `data: {train: x.csv}\nsearch:\n${text}` }).search;

  test("takes choices and ranges", () => {
    expect(
      parse("  space: {training.learningRate: {logUniform: [1.0e-4, 0.1]}, method.promptLength: [4, 8]}"),
    ).toEqual({
      seed: 11,
      space: { "training.learningRate": { logUniform: [1e-4, 0.1] }, "method.promptLength": [4, 8] },
    });
  });

  test.each([
    ["  space: {a: {logUniform: [0, 1]}}", /search\.space\.a/],
    ["  space: {a: {uniform: [2, 1]}}", /search\.space\.a/],
    ["  space: {a: 3}", /search\.space\.a: expected a list of choices, \{uniform: \[low, high\]\} or/],
    ["  strategy: bayes", /search\.strategy: expected one of "grid"\|"random"\|"halving"/],
    ["  halving: {least: 1}", /search\.halving\.most/],
  ])("%s is refused, with the line", (text, message) => {
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(/config:3/);
  });
});

describe("importance", () => {
  const cases = JSON.parse(readFileSync(join(repository, "test/golden/importance.json"), "utf8")) as {
    points: Record<string, unknown[]>;
    scores: number[];
    wanted: { key: string; levels: number; explained: number; adjusted: number | null }[];
  }[];

  test.each(cases)("equals scipy's and scikit-learn's analyses of variance", ({ points, scores, wanted }) => {
    const keys = Object.keys(points);
    const trials = scores.map((score, i) => ({
      score,
      point: Object.fromEntries(keys.map((key) => [key, points[key]![i]])),
    }));
    const found = importances(keys, trials);
    for (const { key, levels, explained, adjusted } of wanted) {
      const one = found.find((importance) => importance.key === key)!;
      expect(one.levels).toBe(levels);
      expect(one.explained).toBeCloseTo(explained, 10);
      if (adjusted === null) expect(one.adjusted).toBeUndefined();
      else expect(one.adjusted).toBeCloseTo(adjusted, 10);
    }
    const order = found.map(({ adjusted, explained }) => adjusted ?? explained);
    expect(order).toEqual(order.toSorted((a, b) => b - a));
  });

  test("of a full grid without noise adds up to one", () => {
    const trials = gridPoints({ a: [1, 2, 3], b: [1, 2], c: [5, 6] }).map((point) => ({
      point,
      score: 3 * (point.a as number) + (point.b as number),
    }));
    const found = importances(["a", "b", "c"], trials);
    expect(found.reduce((sum, { explained }) => sum + explained, 0)).toBeCloseTo(1, 12);
    expect(found.map(({ key }) => key)).toEqual(["a", "b", "c"]);
    expect(found[2]).toMatchObject({ explained: 0, adjusted: 0 });
  });

  test("many different numbers become ranges with like many trials", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.double({ min: 1e-6, max: 1e3, noNaN: true, noDefaultInfinity: true }), {
          minLength: 9,
          maxLength: 60,
        }),
        (values) => {
          const { names, of } = levelsOf(values);
          const counts = names.map((_, level) => of.filter((one) => one === level).length);
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
          const sorted = values
            .map((value, i) => ({ value, level: of[i]! }))
            .sort((a, b) => a.value - b.value);
          expect(sorted.map(({ level }) => level)).toEqual(
            sorted.map(({ level }) => level).toSorted((a, b) => a - b),
          );
        },
      ),
    );
    expect(levelsOf([8, 1e-3, 8, "x"]).names).toEqual(["8", "1e-3", "x"]);
    expect(levelsOf([8, 1e-3, 8]).names).toEqual(["1e-3", "8"]);
  });
});
