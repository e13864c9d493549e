#!/usr/bin/env node
/**
 * Compares what may make prompts learn faster, at equal numbers of updates, as results/convergence.yaml lists it:
 *   node tools/convergence.mjs [--list | --table] [PART-OF-A-CELL'S-NAME …]
 * Runs the cells that have no row yet and rewrites results/convergence.md. A row in results/convergence.jsonl is one
 * run, as in tools/results.mjs, with its dev scores over the updates.
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { prepare } from "./prepare.mjs";
import { runRecipe } from "./results.mjs";
import { folder, mean, nameOf, points, recipeHash, rowsOf } from "./results-table.mjs";

const rowsName = "convergence";

/** All cells of the plan, data set by data set: one run each. */
export function cells() {
  const plan = parse(readFileSync(join(folder, `${rowsName}.yaml`), "utf8"));
  return plan.data.flatMap(({ recipe, settings }) =>
    plan.seeds.flatMap((seed) =>
      plan.rates.flatMap((rate) =>
        Object.entries(plan.variants).map(([variant, own]) => ({
          ...{ recipe, variant, rate, seed, name: `${nameOf(recipe)} / ${variant} / ${rate} / ${seed}` },
          settings: { ...plan.settings, ...settings, "training.learningRate": rate, ...own },
        })),
      ),
    ),
  );
}

const keyOf = (configHash, settings, seed) => JSON.stringify([configHash, settings, seed]);

/** The row of a cell, if it was run. */
function rowFinder() {
  const rows = new Map(rowsOf(rowsName).map((row) => [keyOf(row.configHash, row.settings, row.seed), row]));
  return ({ recipe, settings, seed }) => rows.get(keyOf(recipeHash(recipe), settings, seed));
}

/** The runs of a variant on a data set at the rate that dev prefers; undefined while a run is missing. */
function atBestRate(own, rowOf) {
  const rates = [...new Set(own.map(({ rate }) => rate))].map((rate) => {
    const rows = own.filter((cell) => cell.rate === rate).map(rowOf);
    return rows.includes(undefined)
      ? undefined
      : { rate, rows, dev: mean(rows.map((row) => row.dev[row.metric])) };
  });
  if (rates.includes(undefined)) return undefined;
  return rates.reduce((best, one) => (one.dev > best.dev ? one : best));
}

function table(title, shown, all, rowOf) {
  const recipes = [...new Set(all.map(({ recipe }) => recipe))];
  const variants = [...new Set(all.map(({ variant }) => variant))];
  const lines = variants.map((variant) => {
    const texts = recipes.map((recipe) => {
      const best = atBestRate(
        all.filter((cell) => cell.recipe === recipe && cell.variant === variant),
        rowOf,
      );
      return best ? `${shown(best.rows)} (${best.rate})` : "";
    });
    return `| ${variant} | ${texts.join(" | ")} |`;
  });
  const head = `| variant | ${recipes.map(nameOf).join(" | ")} |`;
  return ["", `## ${title}`, "", head, `| --- |${" ---: |".repeat(recipes.length)}`, ...lines];
}

const page = [
  "# Starts, gates, and a rate of the head's own",
  "",
  "Test scores in points, mean over seeds (± standard deviation), of runs with the same number of updates on real",
  "MiniLM; in brackets the learning rate, that of the two which dev prefers. `convergence.yaml` says what runs,",
  "`node tools/convergence.mjs` runs it, and `convergence.jsonl` holds a line per run.",
];

function writePage() {
  const [all, rowOf] = [cells(), rowFinder()];
  const text = [
    ...page,
    ...table("Test", (rows) => points(rows.map((row) => row.test[row.metric])), all, rowOf),
    ...table(
      "Dev after the first evaluation",
      (rows) => points(rows.map(({ curve }) => curve[0][1])),
      all,
      rowOf,
    ),
    ...table("Seconds", (rows) => Math.round(mean(rows.map(({ seconds }) => seconds))), all, rowOf),
  ];
  writeFileSync(join(folder, `${rowsName}.md`), `${text.join("\n")}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const parts = args.filter((arg) => !arg.startsWith("--"));
  const rowOf = rowFinder();
  const missing = cells().filter(
    (cell) => parts.every((part) => cell.name.includes(part)) && rowOf(cell) === undefined,
  );
  if (args.includes("--list")) {
    for (const { name } of missing) console.log(name);
    console.log(`${missing.length} runs are missing`);
  } else {
    if (missing.length > 0 && !args.includes("--table")) prepare();
    for (const [i, { recipe, seed, settings, name }] of (args.includes("--table") ? [] : missing).entries()) {
      console.log(`${i + 1}/${missing.length} ${name}`);
      const row = runRecipe(recipe, seed, false, settings);
      appendFileSync(join(folder, `${rowsName}.jsonl`), `${JSON.stringify(row)}\n`);
      console.log(`  test ${JSON.stringify(row.test)} in ${row.seconds} s`);
    }
    writePage();
  }
}
