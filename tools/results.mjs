#!/usr/bin/env node
/**
 * Runs what results/plan.yaml lists and has no row yet, and rewrites results/README.md:
 *   node tools/results.mjs [--list] [RECIPE]
 * A row is one run: recipe, seed, scores, command, hash of the recipe, commit, versions, hardware. Rows are appended to
 * results/RECIPE.jsonl; a changed recipe has another hash and runs anew.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { commitOfSources, onnxruntimeVersion } from "./origin.mjs";
import { prepare, root } from "./prepare.mjs";
import { folder, nameOf, recipeHash, rowsOf, writeReadme } from "./results-table.mjs";

/**
 * The row of one run of a recipe; with values at other keys also those and the dev scores over the updates.
 * @param kept run folder that stays, for other recipes to start from
 */
export function runRecipe(recipe, seed, baselines, settings, kept) {
  const temporary = mkdtempSync(join(tmpdir(), "ptuning-result-"));
  const output = kept ?? join(temporary, "run");
  const set = Object.entries(settings ?? {}).flatMap(([key, value]) => [
    "--set",
    `${key}=${JSON.stringify(value)}`,
  ]);
  const args = ["train", recipe, "--seed", String(seed), ...(baselines ? ["--baselines"] : []), ...set];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["dist/cli/main.js", ...args, "--json", "--overwrite", "--output", output],
    { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] },
  );
  rmSync(temporary, { recursive: true });
  if (status !== 0) throw new Error(`${recipe}: ${stderr}`);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { settings: resolved, examples, inventory } = events.find(({ type }) => type === "start");
  const {
    best,
    exact,
    test,
    baselines: others,
    seconds,
    steps,
    versions,
    hardware,
  } = events.find(({ type }) => type === "result");
  return {
    recipe,
    seed,
    metric: resolved.selectBy,
    [best?.leftOut ? "leftOut" : "dev"]: best?.scores,
    ...(exact && { devFp32: exact }),
    test,
    ...(others && { baselines: Object.fromEntries(others.map(({ name, scores }) => [name, scores])) }),
    bestStep: best?.step,
    steps,
    seconds: Math.round(seconds),
    trainable: inventory.trainableTotal,
    examples,
    precision: resolved.precision,
    command: `ptuning ${args.join(" ")}`,
    configHash: recipeHash(recipe),
    ...(settings && { settings, curve: curveOf(events, resolved.selectBy) }),
    commit: commitOfSources(),
    date: new Date().toISOString().slice(0, 10),
    versions: { ...versions, onnxruntime: onnxruntimeVersion() },
    hardware,
  };
}

/** Updates and dev score of every evaluation. */
const curveOf = (events, metric) =>
  events
    .filter(({ type }) => type === "evaluation")
    .map(({ step, scores }) => [step, Number(scores[metric].toFixed(5))]);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const only = args.find((arg) => !arg.startsWith("--"));
  const plan = parse(readFileSync(join(folder, "plan.yaml"), "utf8")).filter(
    ({ recipe }) => !only || recipe.includes(only),
  );
  const missing = plan.flatMap(({ recipe, seeds, baselines = true, output }) => {
    const hash = recipeHash(recipe);
    const done = rowsOf(nameOf(recipe))
      .filter((row) => row.configHash === hash)
      .map(({ seed }) => seed);
    // Baselines do not depend on the seed of training: the first run carries them.
    return seeds
      .filter((seed) => !done.includes(seed))
      .map((seed) => ({ recipe, seed, output, baselines: baselines && seed === seeds[0] }));
  });
  if (args.includes("--list")) {
    for (const { recipe, seed } of missing) console.log(`${recipe} seed ${seed}`);
    console.log(`${missing.length} runs are missing`);
  } else {
    prepare();
    for (const [i, { recipe, seed, baselines, output }] of missing.entries()) {
      console.log(`${i + 1}/${missing.length} ${recipe} seed ${seed}`);
      const row = runRecipe(recipe, seed, baselines, undefined, output);
      appendFileSync(join(folder, `${nameOf(recipe)}.jsonl`), `${JSON.stringify(row)}\n`);
      console.log(`  test ${JSON.stringify(row.test)} in ${row.seconds} s`);
    }
    writeReadme(parse(readFileSync(join(folder, "plan.yaml"), "utf8")));
  }
}
