/** Every form of frozen matrices: what it makes of one, and products in both directions beside plain arithmetic. */

import { type EngineFacts, referenceEngine } from "ptuning/engine";
import { gradients } from "ptuning/internal/autodiff";
import { floats, type Params, Rng, type Tensor } from "ptuning/internal/core";
import { GraphBuilder, type Value } from "ptuning/internal/graph";
import { formNames, formOf, type LayerContext, linear, weightForms } from "ptuning/internal/nn";
import { afterAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { closeEngines, testedEngines } from "../support/engines.ts";

const [N, I, O] = [5, 64, 96];
const numbers = (count: number, seed: number): Float32Array => {
  const rng = new Rng(seed);
  return Float32Array.from({ length: count }, () => rng.normal());
};
const matrix = numbers(O * I, 1);
const [x, bias, pull] = [numbers(N * I, 2), numbers(O, 3), numbers(N * O, 4)];

/** What the form keeps, as weights by name. */
function stored(name: (typeof formNames)[number], facts: EngineFacts): Record<string, Tensor> {
  const made = weightForms[name].stored?.tensors([O, I], facts);
  if (made === undefined) return { "layer.weight": floats([O, I], matrix) };
  return Object.fromEntries(
    Object.entries(made).map(([suffix, { dtype, shape, make }]) => [
      `layer.weight${suffix}`,
      { dtype, shape, data: make(matrix) } as Tensor,
    ]),
  );
}

function context(
  b: GraphBuilder,
  weights: Readonly<Record<string, Tensor>>,
  batchInvariant: boolean,
): LayerContext {
  const known = new Map<string, Value>();
  return {
    b,
    dropout: undefined,
    batchInvariant,
    hasWeight: (name) => name in weights,
    isFrozen: () => true,
    weight(name, shape) {
      expect(weights[name]?.shape, name).toEqual(shape);
      const value = known.get(name) ?? b.initializer(name, weights[name]!);
      known.set(name, value);
      return value;
    },
  };
}

/** x · Wᵀ + bias, and pull · W, in double precision. */
function expected(hasBias: boolean, own: ArrayLike<number> = matrix): { y: number[]; grad: number[] } {
  const at = (o: number, i: number): number => own[o * I + i]!;
  const sum = (count: number, term: (k: number) => number): number =>
    Array.from({ length: count }, (_, k) => term(k)).reduce((a, c) => a + c, 0);
  const y = Array.from({ length: N * O }, (_, k) => {
    const [n, o] = [Math.floor(k / O), k % O];
    return sum(I, (i) => x[n * I + i]! * at(o, i)) + (hasBias ? bias[o]! : 0);
  });
  const grad = Array.from({ length: N * I }, (_, k) => {
    const [n, i] = [Math.floor(k / I), k % I];
    return sum(O, (o) => pull[n * O + o]! * at(o, i));
  });
  return { y, grad };
}

const distance = (found: Tensor, wanted: readonly number[]): number =>
  Math.hypot(...Array.from(found.data as Float32Array, (value, k) => value - wanted[k]!)) /
  Math.hypot(...wanted);

/** Relative error of a product of normal numbers. */
const tolerance = { fp32: 1e-6, int8: 0.02, int4: 0.12 };
const { facts } = referenceEngine();
const engines: Record<"8 bits" | "7 bits", EngineFacts> = {
  "8 bits": { ...facts, int8: { bits: 8, isFast: true } },
  "7 bits": { ...facts, int8: { bits: 7, isFast: false } },
};

afterAll(closeEngines);

describe.each(formNames)("%s", (name) => {
  describe.each(testedEngines)("$name", ({ engine }) => {
    test.each(Object.entries(engines))("multiplies forwards and backwards, made for %s", async (_, own) => {
      for (const hasBias of [true, false]) {
        const weights = { ...stored(name, own), ...(hasBias && { "layer.bias": floats([O], bias) }) };
        const wanted = expected(hasBias);
        for (const batchInvariant of [true, false]) {
          const b = new GraphBuilder("test");
          const input = b.input("x", "float32", [N, I]);
          const ctx = context(b, weights, batchInvariant);
          const y = linear(ctx, input, "layer", O, { hasBias });
          b.output("y", y);
          if (!batchInvariant) {
            const loss = b.sum(b.op("Mul", [y, b.input("pull", "float32", [N, O])]), [0, 1], 0);
            b.output("grad", gradients(b, loss, [input])[0]!);
          }
          await using session = await engine.compile(b.build());
          const feeds: Params = {
            x: floats([N, I], x),
            ...(!batchInvariant && { pull: floats([N, O], pull) }),
          };
          const found = await session.run(feeds);
          expect(distance(found.y!, wanted.y)).toBeLessThan(tolerance[name]);
          if (found.grad) expect(distance(found.grad, wanted.grad)).toBeLessThan(tolerance[name]);
        }
      }
    });
  });

  test("is found by what it keeps, whatever else there is", () => {
    const keys = Object.keys(stored(name, engines["8 bits"]));
    expect(formOf((key) => keys.includes(key), "layer")).toBe(name);
    expect(formOf((key) => keys.includes(key), "other")).toBe("fp32");
  });
});

describe.each(testedEngines)("int8 rows of very different sizes: $name", ({ engine }) => {
  test("keep their 8 bits in training where they are said to be uneven", async () => {
    const weights = stored("int8", engines["8 bits"]);
    const uneven = x.map((value, k) => (k < I ? 1000 * value : value));
    const wanted = expected(false).y.slice(O);
    const distances: number[] = [];
    for (const hasUnevenRows of [true, false]) {
      const b = new GraphBuilder("test");
      const input = b.input("x", "float32", [N, I]);
      b.output("y", linear(context(b, weights, false), input, "layer", O, { hasBias: false, hasUnevenRows }));
      await using session = await engine.compile(b.build());
      const { y } = await session.run({ x: floats([N, I], uneven) });
      distances.push(distance(floats([N - 1, O], (y!.data as Float32Array).slice(O)), wanted));
    }
    expect(distances[0]).toBeLessThan(tolerance.int8);
    expect(distances[1]).toBeGreaterThan(0.5);
  });
});

describe.each(testedEngines)("4 bits are multiplied exactly: $name", ({ engine }) => {
  test("product and gradient are those of the matrix that the numbers stand for", async () => {
    const weights = stored("int4", engines["8 bits"]);
    const [codes, scales] = ["layer.weight.int4", "layer.weight.int4.scale"].map((name) => weights[name]!);
    // Half the bytes per number, and four more for each 32 numbers.
    expect(codes!.data.length + 4 * scales!.data.length).toBe((O * I * 5) / 8);
    const numbers = Array.from({ length: O * I }, (_, k) => {
      const byte = Number(codes!.data[k >> 1]);
      return ((k % 2 === 0 ? byte & 15 : byte >> 4) - 8) * Number(scales!.data[Math.floor(k / 32)]);
    });
    // No number is farther from its own than half a step, or a whole one at the end that has no 8.
    for (const [k, number] of numbers.entries())
      expect(Math.abs(number - matrix[k]!)).toBeLessThanOrEqual(
        1.001 * Math.abs(Number(scales!.data[Math.floor(k / 32)])),
      );
    const wanted = expected(false, numbers);
    for (const rows of [1, N]) {
      for (const batchInvariant of [true, false]) {
        const b = new GraphBuilder("test");
        const input = b.input("x", "float32", [rows, I]);
        const y = linear(context(b, weights, batchInvariant), input, "layer", O, { hasBias: false });
        b.output("y", y);
        if (!batchInvariant) {
          const loss = b.sum(b.op("Mul", [y, b.input("pull", "float32", [rows, O])]), [0, 1], 0);
          b.output("grad", gradients(b, loss, [input])[0]!);
        }
        await using session = await engine.compile(b.build());
        const found = await session.run({
          x: floats([rows, I], x.slice(0, rows * I)),
          ...(!batchInvariant && { pull: floats([rows, O], pull.slice(0, rows * O)) }),
        });
        expect(distance(found.y!, wanted.y.slice(0, rows * O))).toBeLessThan(1e-6);
        if (found.grad) expect(distance(found.grad, wanted.grad.slice(0, rows * I))).toBeLessThan(1e-6);
      }
    }
  });
});

test("a matrix without whole blocks stays as it is", () => {
  expect(weightForms.int4.stored!.tensors([8, 40], engines["8 bits"])).toBeUndefined();
});

test("a weight that is trained is taken as it is, beside another form of the same layer", () => {
  const keys = [...Object.keys(stored("int8", engines["8 bits"])), "layer.weight"];
  expect(formOf((key) => keys.includes(key), "layer")).toBe("fp32");
});

test("the command line offers them and auto", async () => {
  const help = (await ptuning(["evaluate", "--help"])).stdout.replaceAll(/\s+/g, " ");
  const offered = /--precision <name> of the frozen layers \(choices: ([^)]*)\)/.exec(help)![1]!;
  expect(offered.replaceAll('"', "").split(", ")).toEqual(["auto", ...formNames]);
});
