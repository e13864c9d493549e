#!/usr/bin/env node
/**
 * Compares variants of runs that are otherwise equal, as a plan lists them: results/convergence.yaml (what may make
 * prompts learn faster), results/rates.yaml (rates, warm-up, dropout), results/precision.yaml (int8 beside fp32).
 *   node tools/variants.mjs PLAN [--list | --table] [PART-OF-A-CELL'S-NAME …]
 * Runs the cells that have no row yet and rewrites results/PLAN.md. A row in results/PLAN.jsonl is one run, as in
 * tools/results.mjs, with its dev scores over the updates; a cell without settings is the recipe's own run and takes
 * that row.
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { prepare } from "./prepare.mjs";
import { runRecipe } from "./results.mjs";
import { folder, mean, nameOf, points, recipeHash, rowsOf } from "./results-table.mjs";

const read = (plan) => parse(readFileSync(join(folder, `${plan}.yaml`), "utf8"));

/** All cells of a plan, seed by seed: one run each. */
export function cells(name) {
  const plan = read(name);
  return plan.seeds.flatMap((seed) =>
    plan.data.flatMap(({ recipe, settings }) =>
      (plan.rates ?? [undefined]).flatMap((rate) =>
        Object.entries(plan.variants).map(([variant, own]) => ({
          ...{ plan: name, recipe, variant, rate, seed },
          name: [nameOf(recipe), variant, ...(rate ? [rate] : []), seed].join(" / "),
          settings: {
            ...{ ...plan.settings, ...settings },
            ...(rate && { "training.learningRate": rate }),
            ...own,
          },
        })),
      ),
    ),
  );
}

const isOwn = ({ settings }) => Object.keys(settings).length === 0;
/** Where the row of a cell is, or will be. */
const rowsNameOf = (cell) => (isOwn(cell) ? nameOf(cell.recipe) : cell.plan);
const keyOf = (name, configHash, settings, seed) => JSON.stringify([name, configHash, settings ?? {}, seed]);

/** Finds the row of a cell, if it was run. */
function rowFinder(all) {
  const rows = new Map(
    [...new Set(all.map(rowsNameOf))].flatMap((name) =>
      rowsOf(name).map((row) => [keyOf(name, row.configHash, row.settings, row.seed), row]),
    ),
  );
  return (cell) => rows.get(keyOf(rowsNameOf(cell), recipeHash(cell.recipe), cell.settings, cell.seed));
}

/** The runs of a variant on a data set at the rate that dev prefers; undefined while a run is missing. */
function atBestRate(own, rowOf) {
  const rates = [...new Set(own.map(({ rate }) => rate))].map((rate) => {
    const rows = own.filter((cell) => cell.rate === rate).map(rowOf);
    return rows.includes(undefined)
      ? undefined
      : { rate, rows, dev: mean(rows.map((row) => (row.dev ?? row.leftOut)[row.metric])) };
  });
  if (rates.includes(undefined)) return undefined;
  return rates.reduce((best, one) => (one.dev > best.dev ? one : best));
}

/**
 * A table of variants by data sets.
 * @param valuesOf a number per run; `shown` makes text of them
 */
function table(title, valuesOf, shown, all, rowOf) {
  const recipes = [...new Set(all.map(({ recipe }) => recipe))];
  const variants = [...new Set(all.map(({ variant }) => variant))];
  const lines = variants.map((variant) => {
    const runs = recipes.map((recipe) => {
      const best = atBestRate(
        all.filter((cell) => cell.recipe === recipe && cell.variant === variant),
        rowOf,
      );
      return best && { ...best, values: best.rows.map(valuesOf) };
    });
    const texts = runs.map((best) =>
      best ? `${shown(best.values)}${best.rate ? ` (${best.rate})` : ""}` : "",
    );
    const overall = runs.every(Boolean) ? shown([mean(runs.map(({ values }) => mean(values)))]) : "";
    return `| ${variant} | ${texts.join(" | ")} | ${overall} |`;
  });
  const head = `| variant | ${recipes.map(nameOf).join(" | ")} | mean |`;
  return ["", `## ${title}`, "", head, `| --- |${" ---: |".repeat(recipes.length + 1)}`, ...lines];
}

function writePage(plan, all) {
  const { title, about } = read(plan);
  const rowOf = rowFinder(all);
  const seconds = (values) => String(Math.round(mean(values)));
  const text = [
    ...[`# ${title}`, "", about.trim()],
    ...table("Test", (row) => row.test[row.metric], points, all, rowOf),
    ...(all.some(isOwn)
      ? []
      : table("Dev after the first evaluation", ({ curve }) => curve[0][1], points, all, rowOf)),
    ...table("Seconds", (row) => row.seconds, seconds, all, rowOf),
  ];
  writeFileSync(join(folder, `${plan}.md`), `${text.join("\n")}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const [plan, ...parts] = args.filter((arg) => !arg.startsWith("--"));
  if (!existsSync(join(folder, `${plan}.yaml`))) {
    console.error(
      `variants: expected convergence, rates or precision, a plan in results/, got ${plan ?? "none"}.`,
    );
    process.exit(2);
  }
  const all = cells(plan);
  const rowOf = rowFinder(all);
  const missing = all.filter(
    (cell) => parts.every((part) => cell.name.includes(part)) && rowOf(cell) === undefined,
  );
  if (args.includes("--list")) {
    for (const { name } of missing) console.log(name);
    console.log(`${missing.length} runs are missing`);
  } else {
    const wanted = args.includes("--table") ? [] : missing;
    if (wanted.length > 0) prepare();
    for (const [i, cell] of wanted.entries()) {
      console.log(`${i + 1}/${wanted.length} ${cell.name}`);
      // A recipe's own row carries what tools/results.mjs would have put there: baselines with the first seed.
      const [baselines, settings] = isOwn(cell) ? [cell.seed === all[0].seed] : [false, cell.settings];
      const row = runRecipe(cell.recipe, cell.seed, baselines, settings);
      appendFileSync(join(folder, `${rowsNameOf(cell)}.jsonl`), `${JSON.stringify(row)}\n`);
      console.log(`  test ${JSON.stringify(row.test)} in ${row.seconds} s`);
    }
    writePage(plan, all);
  }
}
