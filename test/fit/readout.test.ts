/** Heads as linear models: beside scikit-learn's, and what cross-validation chooses. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { nodeEngine, referenceEngine } from "ptuning/engine";
import { type Params, Rng } from "ptuning/internal/core";
import { type Features, fitReadout, type ReadoutData } from "ptuning/internal/fit";
import { headBias, headWeight } from "ptuning/internal/heads";
import { multiLabelClassification, sequenceClassification, type Task, textRegression } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { has, repository } from "../support/requirements.ts";

const engine = nodeEngine({ threads: 1 });
afterAll(() => engine.close());

const names = ["a", "b", "c"];
const [width, count] = [12, 90];

interface Made {
  readonly rows: number[][];
  readonly examples: TextExample[];
}

/** Rows of which each label sees some columns, of very different sizes and places. @param noise of labels */
function make(rows: number, seed: number, noise = 1): Made {
  const rng = new Rng(seed);
  const made = Array.from({ length: rows }, () => {
    const z = Array.from({ length: width }, () => rng.normal());
    const scores = names.map((_, c) => z[c]! - z[c + 3]! + noise * rng.normal());
    const label = names[scores.indexOf(Math.max(...scores))]!;
    return {
      row: z.map((value, f) => Math.fround(value * 10 ** ((f % 5) - 2) + 3 * f)),
      example: { text: "w1", label, labels: names.filter((_, c) => scores[c]! > 0.5), score: scores[0]! + 2 },
    };
  });
  return { rows: made.map(({ row }) => row), examples: made.map(({ example }) => example) };
}

const featuresOf = (rows: readonly number[][]): Features => ({
  width: rows[0]!.length,
  rows: Int32Array.from(rows.keys()),
  data: Float32Array.from(rows.flat()),
});

/** What tasks need of texts, without a tokenizer. */
const tokenizer = {
  encode: async (texts: ArrayLike<unknown>) => ({
    count: texts.length,
    starts: new Int32Array(texts.length + 1),
    cut: new Uint8Array(texts.length),
    truncated: 0,
  }),
} as unknown as Parameters<Task["encode"]>[1];

async function dataOf(
  task: object,
  { rows, examples }: Made,
  change: Partial<ReadoutData> = {},
): Promise<ReadoutData> {
  const own = task as Task;
  return {
    engine,
    task: own,
    encoded: await own.encode(examples, tokenizer, 8),
    features: featuresOf(rows),
    outputs: own.type === "regression" ? 1 : names.length,
    rng: new Rng(3),
    ...change,
  };
}

function outputsOf(params: Params, row: readonly number[]): number[] {
  const { [headWeight]: weight, [headBias]: bias } = params;
  return Array.from(bias!.data, (free, c) =>
    row.reduce((sum, x, f) => sum + x * weight!.data[c * row.length + f]!, free),
  );
}

test.skipIf(!has.python)(
  "are scikit-learn's: multinomial with class weights, one per label, ridge",
  async () => {
    const [train, others] = [make(count, 1), make(40, 2)];
    const classWeights = { a: 2, b: 0.5, c: 1 };
    const folder = await mkdtemp(join(tmpdir(), "ptuning-readouts-"));
    try {
      const [input, output] = [join(folder, "in.json"), join(folder, "out.json")];
      for (const C of [0.01, 1]) {
        const given = {
          features: train.rows,
          others: others.rows,
          C,
          labels: train.examples.map(({ label }) => names.indexOf(label!)),
          weights: names.map((name) => classWeights[name as "a"]),
          sets: train.examples.map(({ labels }) => names.map((name) => Number(labels!.includes(name)))),
          scores: train.examples.map(({ score }) => score),
        };
        await writeFile(input, JSON.stringify(given));
        const args = [`${repository}tools/reference/readouts.py`, input, output];
        const { status, stderr } = spawnSync(referencePython(), args, { encoding: "utf8" });
        expect(status, stderr).toBe(0);
        const theirs: Record<string, number[][]> = JSON.parse(await readFile(output, "utf8"));
        const tasks = {
          classes: sequenceClassification({ labels: names, classWeights }),
          sets: multiLabelClassification({ labels: names }),
          scores: textRegression(),
        };
        for (const [name, task] of Object.entries(tasks)) {
          const { params, strength } = await fitReadout(await dataOf(task, train, { strength: C }));
          expect(strength).toBe(C);
          const ours = others.rows.map((row) => outputsOf(params, row));
          // Logits of a softmax may all be shifted; scikit-learn's sum to zero where no class weighs more.
          const centred = (row: readonly number[]): number[] => {
            const mean = name === "classes" ? row.reduce((a, b) => a + b) / row.length : 0;
            return row.map((value) => value - mean);
          };
          const differences = ours.flatMap((row, i) =>
            centred(row).map((value, c) => Math.abs(value - centred(theirs[name]![i]!)[c]!)),
          );
          expect(Math.max(...differences), `${name}, C ${C}`).toBeLessThan(0.01);
        }
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  120_000,
);

describe("cross-validation", () => {
  const task = sequenceClassification({ labels: names });
  const fresh = make(3000, 9, 2);

  /** Mean cross-entropy of rows that nobody has seen. */
  function lossOf(params: Params, { rows, examples }: Made): number {
    return (
      rows.reduce((sum, row, i) => {
        const logits = outputsOf(params, row);
        const total = Math.log(logits.reduce((all, logit) => all + Math.exp(logit), 0));
        return sum + total - logits[names.indexOf(examples[i]!.label!)]!;
      }, 0) / rows.length
    );
  }

  test("chooses a strength that is nearly the best for rows that nobody has seen, and says their loss", async () => {
    const train = make(count, 1, 2);
    const chosen = await fitReadout(await dataOf(task, train));
    const found = lossOf(chosen.params, fresh);
    const all = await Promise.all(
      [1e-4, 1e-3, 1e-2, 0.1, 1].map(async (strength) =>
        lossOf((await fitReadout(await dataOf(task, train, { strength }))).params, fresh),
      ),
    );
    expect(found).toBeLessThan(Math.min(...all) + 0.03);
    expect(found).toBeLessThan(Math.max(...all) - 0.05);
    expect(Math.abs(chosen.heldOutLoss - found)).toBeLessThan(0.15);
  });

  test("gives the same again, and trusts nothing where labels are noise", async () => {
    const train = make(count, 1);
    const noise = { ...train, examples: new Rng(4).shuffle([...train.examples]) };
    const [first, second] = [
      await fitReadout(await dataOf(task, noise)),
      await fitReadout(await dataOf(task, noise)),
    ];
    expect(second).toEqual(first);
    const { strength } = await fitReadout(await dataOf(task, make(count, 1, 0.1)));
    expect(first.strength).toBeLessThan(strength / 30);
  });
});

test("a feature that never changes, rows without a label and rows without features change nothing", async () => {
  const task = sequenceClassification({ labels: names });
  const train = make(count, 1);
  const plain = await fitReadout(await dataOf(task, train, { strength: 0.1 }));
  const more = make(10, 7);
  const padded: Made = {
    rows: [...train.rows, ...more.rows].map((row) => [...row, 5]),
    examples: [...train.examples, ...more.examples],
  };
  const features = featuresOf(padded.rows);
  const covered: Features = {
    ...features,
    rows: features.rows.subarray(0, count),
    data: features.data.subarray(0, count * (width + 1)),
  };
  const { params } = await fitReadout(await dataOf(task, padded, { strength: 0.1, features: covered }));
  for (const row of more.rows) {
    for (const [c, logit] of outputsOf(params, [...row, 5]).entries())
      expect(logit).toBeCloseTo(outputsOf(plain.params, row)[c]!, 2);
  }
  const unlabelled = { rows: train.rows, examples: train.examples.map(() => ({ text: "w1" })) };
  const nothing = await fitReadout(await dataOf(task, unlabelled));
  expect([...nothing.params[headWeight]!.data].every((value) => value === 0)).toBe(true);
  expect(nothing.heldOutLoss).toBeNaN();
});

test("the reference engine fits the same", async () => {
  const task = sequenceClassification({ labels: names });
  const train = make(30, 1);
  const [ours, exact] = [
    await fitReadout(await dataOf(task, train, { strength: 0.01 })),
    await fitReadout(await dataOf(task, train, { strength: 0.01, engine: referenceEngine() })),
  ];
  for (const [i, row] of make(20, 2).rows.entries())
    for (const [c, logit] of outputsOf(ours.params, row).entries())
      expect(logit, `${i}`).toBeCloseTo(outputsOf(exact.params, row)[c]!, 2);
});
