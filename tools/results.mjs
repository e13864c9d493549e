#!/usr/bin/env node
/**
 * Runs what results/plan.yaml lists and has no row yet, and rewrites results/README.md:
 *   node tools/results.mjs [--list] [RECIPE]
 * A row is one run: recipe, seed, scores, command, hash of the recipe, commit, versions, hardware. Rows are appended to
 * results/RECIPE.jsonl; a changed recipe has another hash and runs anew.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { prepare, root } from "./prepare.mjs";

const folder = join(root, "results");
const rowsOf = (name) => {
  const path = join(folder, `${name}.jsonl`);
  return existsSync(path)
    ? readFileSync(path, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    : [];
};

/** `recipes/defaults/trec.yaml` → `defaults-trec` */
const nameOf = (recipe) =>
  recipe
    .replace(/^recipes\//, "")
    .replace(/\.yaml$/, "")
    .replaceAll("/", "-");

/** SHA-256 of a recipe without its comments. */
export function recipeHash(recipe) {
  const text = readFileSync(join(root, recipe), "utf8").replace(/^\s*#.*$/gm, "");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** The row of one run of a recipe. */
export function runRecipe(recipe, seed, baselines) {
  const output = mkdtempSync(join(tmpdir(), "ptuning-result-"));
  const args = ["train", recipe, "--seed", String(seed), ...(baselines ? ["--baselines"] : [])];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["dist/cli/main.js", ...args, "--json", "--output", join(output, "run")],
    { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] },
  );
  rmSync(output, { recursive: true });
  if (status !== 0) throw new Error(`${recipe}: ${stderr}`);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { settings, examples, inventory } = events.find(({ type }) => type === "start");
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
  const git = (...command) => spawnSync("git", command, { cwd: root, encoding: "utf8" }).stdout.trim();
  return {
    recipe,
    seed,
    metric: settings.selectBy,
    dev: best?.scores,
    ...(exact && { devFp32: exact }),
    test,
    ...(others && { baselines: Object.fromEntries(others.map(({ name, scores }) => [name, scores])) }),
    bestStep: best?.step,
    steps,
    seconds: Math.round(seconds),
    trainable: inventory.trainableTotal,
    examples,
    precision: settings.precision,
    command: `ptuning ${args.join(" ")}`,
    configHash: recipeHash(recipe),
    commit:
      git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "src") === "" ? "" : "+changes"),
    date: new Date().toISOString().slice(0, 10),
    versions: {
      ...versions,
      onnxruntime: JSON.parse(readFileSync(join(root, "node_modules/onnxruntime-node/package.json"), "utf8"))
        .version,
    },
    hardware,
  };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean ± standard deviation in points. */
function points(values) {
  const center = mean(values);
  const spread =
    values.length > 1
      ? Math.sqrt(values.reduce((sum, v) => sum + (v - center) ** 2, 0) / (values.length - 1))
      : 0;
  return `${(100 * center).toFixed(1)}${values.length > 1 ? ` ± ${(100 * spread).toFixed(1)}` : ""}`;
}

function writeReadme(plan) {
  const lines = [];
  for (const { recipe, scores } of plan) {
    const name = nameOf(recipe);
    const hash = recipeHash(recipe);
    const rows = rowsOf(name).filter((row) => row.configHash === hash);
    if (rows.length === 0) continue;
    const deciding = rows[0].metric in rows[0].test ? rows[0].metric : Object.keys(rows[0].test)[0];
    // Tasks name what needs no model in their own way: majority class, mean of train, O for every word.
    const trivial = Object.keys(rows[0].baselines ?? {}).find((title) => !title.includes("logistic"));
    for (const metric of scores ?? [deciding]) {
      const baseline = (title) => {
        const values = rows.flatMap((row) => (row.baselines?.[title] ? [row.baselines[title][metric]] : []));
        return values.length === 0 ? "" : points(values);
      };
      lines.push(
        `| [${name}](../${recipe}) | ${metric} | ${points(rows.map((row) => row.test[metric]))} | ${rows.length} | ` +
          `${baseline(trivial)} | ${baseline("TF-IDF + logistic regression")} | ${baseline("frozen embeddings + logistic regression")} | ` +
          `${rows[0].trainable.toLocaleString("en")} | ${Math.round(mean(rows.map((row) => row.seconds)))} | ${rows[0].precision} |`,
      );
    }
  }
  const twins = rowsOf("twins").map(
    ({ set, reference, method = "p-tuning-v2", steps, firstLosses, dev }) =>
      `| ${set} | ${method} | ${reference === "peft" ? "PEFT" : "plain PyTorch"} | ${steps} | ${firstLosses.count} | ` +
      `${firstLosses.greatestDifference.toExponential(1)} | ${(100 * dev.agreement).toFixed(1)} % of ${dev.rows.toLocaleString("en")} |`,
  );
  const existing = readFileSync(join(folder, "README.md"), "utf8").replace(
    /(<!-- twins -->)[\s\S]*(<!-- \/twins -->)/,
    (_, start, end) =>
      `${start}\n\n| data | method | beside | steps | first losses | greatest difference | equal dev predictions |\n` +
      `|---|---|---|---:|---:|---:|---|\n${twins.join("\n")}\n\n${end}`,
  );
  const [head, , tail] = existing.split(/<!-- \/?table -->/);
  const header =
    "| recipe | score on test | ptuning | seeds | trivial | TF-IDF + LR | frozen embeddings + LR | trainable | seconds | precision |\n" +
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---|";
  writeFileSync(
    join(folder, "README.md"),
    `${head}<!-- table -->\n\n${header}\n${lines.join("\n")}\n\n<!-- /table -->${tail}`,
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const only = args.find((arg) => !arg.startsWith("--"));
  const plan = parse(readFileSync(join(folder, "plan.yaml"), "utf8")).filter(
    ({ recipe }) => !only || recipe.includes(only),
  );
  const missing = plan.flatMap(({ recipe, seeds, baselines = true }) => {
    const hash = recipeHash(recipe);
    const done = rowsOf(nameOf(recipe))
      .filter((row) => row.configHash === hash)
      .map(({ seed }) => seed);
    // Baselines do not depend on the seed of training: the first run carries them.
    return seeds
      .filter((seed) => !done.includes(seed))
      .map((seed) => ({ recipe, seed, baselines: baselines && seed === seeds[0] }));
  });
  if (args.includes("--list")) {
    for (const { recipe, seed } of missing) console.log(`${recipe} seed ${seed}`);
    console.log(`${missing.length} runs are missing`);
  } else {
    prepare();
    for (const [i, { recipe, seed, baselines }] of missing.entries()) {
      console.log(`${i + 1}/${missing.length} ${recipe} seed ${seed}`);
      const row = runRecipe(recipe, seed, baselines);
      appendFileSync(join(folder, `${nameOf(recipe)}.jsonl`), `${JSON.stringify(row)}\n`);
      console.log(`  test ${JSON.stringify(row.test)} in ${row.seconds} s`);
    }
    writeReadme(parse(readFileSync(join(folder, "plan.yaml"), "utf8")));
  }
}
