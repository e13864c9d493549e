/** What the grid of results/quality.yaml is made of: cells, runs, and what a run depends on. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "../prepare.mjs";

/** The plan as its file has it, with the pins of the rivals' environments: another version is another contender. */
export function readPlan() {
  const plan = parse(readFileSync(join(root, "results/quality.yaml"), "utf8"));
  for (const contender of Object.values(plan.contenders)) {
    if (contender.environment === undefined) continue;
    const file = join(root, `tools/reference/requirements-${contender.environment}.txt`);
    contender.pins = readFileSync(file, "utf8").trim().split("\n");
  }
  return plan;
}

/** What of the recipes counts: how their data are read, and what is learnt. */
const readRecipe = (recipe) => parse(readFileSync(join(root, recipe), "utf8"));

/** JSON with sorted keys: equal for what is equal. */
const canonical = (value) =>
  JSON.stringify(value, (_, inner) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
/** The first 16 digits of the SHA-256 of what is equal to a value. */
export const hashOf = (value) => createHash("sha256").update(canonical(value)).digest("hex").slice(0, 16);

/** The cells in the order of the plan; one that several blocks list stands in the first of them. */
export function cellsOf(plan) {
  const cells = new Map();
  for (const block of plan.blocks) {
    for (const backbone of block.backbones) {
      for (const set of block.sets) {
        for (const rows of block.rows) {
          const name = `${backbone}/${set}/${rows}`;
          if (cells.has(name)) continue;
          const { kind, score } = plan.sets[set];
          const seeds = plan.seeds.slice(0, block.seeds);
          cells.set(name, {
            name,
            block: block.name,
            bars: block.bars === true,
            backbone,
            set,
            rows,
            kind,
            score,
            seeds,
          });
        }
      }
    }
  }
  return [...cells.values()];
}

/** The contenders of a cell by name, each with the settings that it has there. */
export function contendersOf(plan, cell) {
  return Object.entries(plan.contenders).flatMap(([name, { settingsFor, ...contender }]) => {
    if (!contender.answers.includes(cell.kind)) return [];
    const settings = { ...contender.settings, ...settingsFor?.[cell.backbone] };
    return [{ ...contender, name, ...(contender.program !== undefined && { settings }) }];
  });
}

/** The precisions that a contender runs in here; ours chooses its own. */
export const precisionsOf = (contender, hasBf16) =>
  contender.precisions?.filter((precision) => precision !== "bf16" || hasBf16) ?? ["auto"];

/** Hash of all that stands in files and decides a result beside the seed: a run of another one is another run. */
export function specOf(plan, cell, contender, recipe = readRecipe(plan.sets[cell.set].recipe)) {
  const { same, role, precisions, answers, name, ...what } = contender;
  const { recipe: _, ...set } = plan.sets[cell.set];
  const { data, task } = recipe;
  return hashOf({ cell: cell.name, set, data, task, test: plan.test, contender: what });
}

/** Under which name a run's row is found. */
export const keyOf = ({ cell, contender, precision, seed }) =>
  JSON.stringify([cell, contender, precision, seed]);

/**
 * The precision of the fewest seconds, by the seeds that ran in each; undefined while there is none.
 * @param rows of one cell and contender
 */
export function fasterPrecision(rows, precisions) {
  const seeds = [...new Set(rows.map(({ seed }) => seed))].filter((seed) =>
    precisions.every((precision) => rows.some((row) => row.seed === seed && row.precision === precision)),
  );
  if (seeds.length === 0) return undefined;
  const secondsOf = (precision) =>
    rows
      .filter((row) => row.precision === precision && seeds.includes(row.seed))
      .reduce((sum, { seconds }) => sum + seconds, 0);
  return precisions.reduce((best, one) => (secondsOf(one) < secondsOf(best) ? one : best));
}

/**
 * What is still to be run, in order. A contender of several precisions runs in all of them with a cell's first seed, and in
 * the faster one with the others: which one that is, is open (`undefined`) until those runs are there.
 * @param current rows that hold, as {@link currentRows} gives them
 */
export function missingRuns(plan, cells, current, hasBf16) {
  const done = new Set(current.map(keyOf));
  return cells.flatMap((cell) =>
    cell.seeds.flatMap((seed, i) =>
      contendersOf(plan, cell).flatMap((contender) => {
        const precisions = precisionsOf(contender, hasBf16);
        const own = current.filter((row) => row.cell === cell.name && row.contender === contender.name);
        const wanted = i === 0 || precisions.length === 1 ? precisions : [fasterPrecision(own, precisions)];
        return wanted.flatMap((precision) => {
          const run = { cell: cell.name, contender: contender.name, precision, seed };
          return done.has(keyOf(run)) ? [] : [run];
        });
      }),
    ),
  );
}

/**
 * The rows that hold: of today's plan and, where they are known, of today's data; the last of several of one run.
 * @param fingerprints of a cell's data by cell and seed, `{ train, test }`; undefined where the data are not at hand
 * @param renewed contenders whose rows of other commits than `commit` do not hold
 * @returns them, and how many were left out as they are of other data
 */
export function currentRows(plan, rows, { fingerprints, renewed = [], commit, recipeOf = readRecipe } = {}) {
  const recipes = new Map();
  const specs = new Map();
  for (const cell of cellsOf(plan)) {
    const { recipe } = plan.sets[cell.set];
    if (!recipes.has(recipe)) recipes.set(recipe, recipeOf(recipe));
    for (const contender of contendersOf(plan, cell)) {
      specs.set(
        JSON.stringify([cell.name, contender.name]),
        specOf(plan, cell, contender, recipes.get(recipe)),
      );
    }
  }
  const held = new Map();
  let ofOtherData = 0;
  for (const row of rows) {
    if (specs.get(JSON.stringify([row.cell, row.contender])) !== row.spec) continue;
    if (renewed.includes(row.contender) && row.commit !== commit) continue;
    const data = fingerprints?.(row.cell, row.seed);
    if (data !== undefined && (data.train !== row.data.train || data.test !== row.data.test)) {
      ofOtherData++;
      continue;
    }
    held.set(keyOf(row), row);
  }
  return { rows: [...held.values()], ofOtherData };
}
