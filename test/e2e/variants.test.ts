/** The plans of variants: every cell is a run that can start, and cells differ in one thing. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { methodOf, overrideConfig, parseConfig } from "ptuning/internal/config";
import { expect, test } from "vitest";
import { cells } from "../../tools/variants.mjs";
import { repository } from "../support/requirements.ts";

test("starts, gates and rates: every cell is a valid run, and those of a data set make the same number of updates", () => {
  const all = cells("convergence");
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  const budgets = new Map<string, Set<string>>();
  for (const { recipe, settings, rate, name } of all) {
    const text = readFileSync(join(repository, recipe), "utf8");
    const config = overrideConfig(parseConfig({ text, where: recipe }), settings);
    expect(methodOf(config).name, name).toBe("p-tuning-v2");
    const { learningRate, headLearningRate, ...budget } = config.training;
    expect(learningRate).toBe(rate);
    expect(budget.epochs).toBeGreaterThan(0);
    budgets.set(recipe, (budgets.get(recipe) ?? new Set()).add(JSON.stringify(budget)));
  }
  expect([...budgets.values()].map(({ size }) => size)).toEqual(Array.from(budgets, () => 1));
  expect(budgets.size).toBe(6);
});

test("precision: the recipes themselves, and the same in fp32", () => {
  const all = cells("precision");
  expect(new Set(all.map(({ recipe }) => recipe)).size).toBe(5);
  for (const { recipe, settings, variant } of all) {
    const config = parseConfig({ text: readFileSync(join(repository, recipe), "utf8"), where: recipe });
    expect(config.training.precision, recipe).toBeUndefined();
    expect(overrideConfig(config, settings).training.precision).toBe(variant === "fp32" ? "fp32" : undefined);
  }
});
