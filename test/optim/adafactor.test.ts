/** Adafactor against transformers' (tools/reference/make_methods.py), in float64. */
import { elementCount, type Params } from "ptuning/internal/core";
import { adafactor, applyUpdates } from "ptuning/internal/optim";
import { describe, expect, test } from "vitest";
import { readGolden, relativeError } from "../support/golden.ts";

type Values = Readonly<Record<"matrix" | "vector", number[]>>;
const runs =
  readGolden<
    {
      factored: boolean;
      shapes: Readonly<Record<string, number[]>>;
      initial: Values;
      grads: Values[];
      final: Values;
    }[]
  >("methods/adafactor.json");

describe.each(runs)("factored: $factored", ({ factored, shapes, initial, grads, final }) => {
  const tensors = (values: Values): Params =>
    Object.fromEntries(
      Object.entries(values).map(([name, data]) => [
        name,
        { dtype: "float64", shape: shapes[name]!, data: Float64Array.from(data) },
      ]),
    );

  test.each([1, 3])("ten steps to 1e-9, at %d times a rate", (factor) => {
    const optimizer = adafactor({
      schedule: () => 0.3 / factor,
      rateFactors: () => factor,
      weightDecay: 1e-2,
      clipNorm: Number.POSITIVE_INFINITY,
      minFactored: factored ? 1 : 128,
    });
    const params = tensors(initial);
    const state = optimizer.init(params);
    for (const [step, values] of grads.entries()) {
      const updates = tensors(values);
      optimizer.update(updates, state, params, step);
      applyUpdates(params, updates);
    }
    for (const [name, { data }] of Object.entries(params)) {
      expect(relativeError(data, final[name as keyof Values])).toBeLessThan(1e-9);
    }
    const kept = Object.values(state).reduce((sum, { shape }) => sum + elementCount(shape), 0);
    expect(kept).toBe(factored ? 5 + 4 + 6 : 20 + 6);
  });
});
