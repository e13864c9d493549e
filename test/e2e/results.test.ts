/** A committed result is rerun and must come out as it stands in the file. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ResultRow, runRecipe } from "../../tools/results.mjs";
import { recipeHash } from "../../tools/results-table.mjs";
import { has, repository } from "../support/requirements.ts";

const recipe = "recipes/quickstart.yaml";
const path = join(repository, "results/quickstart.jsonl");
const rows: ResultRow[] = existsSync(path)
  ? readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
  : [];

describe.skipIf(!has.minilm)("committed results", () => {
  test("say how they came about", () => {
    const current = rows.filter(({ configHash }) => configHash === recipeHash(recipe));
    expect(current.map(({ seed }) => seed).sort()).toEqual([11, 12, 13, 14, 15]);
    for (const row of current) {
      for (const key of ["command", "configHash", "commit", "seed", "versions", "hardware"] as const) {
        expect(row[key], key).toBeTruthy();
      }
    }
  });

  test("a cheap one comes out again: to the bit on the same machine, closely elsewhere", () => {
    const committed = rows.find(({ seed, configHash }) => seed === 11 && configHash === recipeHash(recipe))!;
    const again = runRecipe(recipe, 11, false);
    const isSame =
      again.hardware === committed.hardware &&
      again.precision === committed.precision &&
      JSON.stringify(again.versions) === JSON.stringify(committed.versions);
    // Other processors sum in another order, or take fp32 for the frozen layers: a few of the 200 texts may change.
    const allowed = isSame ? 0 : 0.03;
    expect(Math.abs(again.test.accuracy! - committed.test.accuracy!)).toBeLessThanOrEqual(allowed);
  }, 300_000);
});
