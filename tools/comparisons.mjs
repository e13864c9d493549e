#!/usr/bin/env node
/**
 * Makes the comparisons that results/comparisons.yaml lists and that have no result yet, and rewrites
 * results/comparisons/README.md:
 *   node tools/comparisons.mjs [--list] [NAME]
 * A result is NAME.json and NAME.svg: every run with its scores, command, hash of the recipe, commit, versions, hardware.
 * Runs lie under .cache/comparisons/NAME, where a comparison that was stopped goes on. A changed recipe or command is made
 * anew.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { commitOfSources, onnxruntimeVersion } from "./origin.mjs";
import { prepare, root } from "./prepare.mjs";
import { recipeHash } from "./results-table.mjs";

const folder = join(root, "results/comparisons");
const plan = Object.entries(parse(readFileSync(join(root, "results/comparisons.yaml"), "utf8"))).map(
  ([name, args]) => ({
    name,
    command: `ptuning compare ${args}`,
    args: args.split(" "),
    recipe: args.split(" ")[0],
  }),
);
const read = (path) => (existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined);
const resultOf = ({ name, command, recipe }) => {
  const result = read(join(folder, `${name}.json`));
  return result?.command === command && result.configHash === recipeHash(recipe) ? result : undefined;
};

/** Makes one comparison, or goes on with it. @returns whether it came to its end */
function make({ name, command, args, recipe }) {
  const output = join(root, ".cache/comparisons", name);
  const { status } = spawnSync(
    process.execPath,
    ["dist/cli/main.js", "compare", ...args, "--output", output],
    {
      cwd: root,
      stdio: "inherit",
    },
  );
  if (status !== 0) return false;
  const result = {
    command,
    configHash: recipeHash(recipe),
    commit: commitOfSources(),
    versions: { node: process.versions.node, onnxruntime: onnxruntimeVersion() },
    ...read(join(output, "comparison.json")),
  };
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  copyFileSync(join(output, "figure.svg"), join(folder, `${name}.svg`));
  return true;
}

async function writeReadme() {
  const { comparisonMarkdown } = await import("../dist/report/index.js");
  const sections = plan.flatMap((entry) => {
    const result = resultOf(entry);
    if (result === undefined) return [];
    const text = comparisonMarkdown(result, `${entry.name}.svg`).trim().replace(/^# /, "## ");
    return [`${text}\n\n\`${entry.command}\``];
  });
  const head =
    "# Comparisons\n\n" +
    "Methods and ablations, on MiniLM unless said, as [`ptuning compare`](../../docs/compare.md) makes them. `node tools/comparisons.mjs`\n" +
    "makes what [`../comparisons.yaml`](../comparisons.yaml) lists and has no result yet; the `.json` files hold every run.\n" +
    "Times compare within a table, not with `bench/`.";
  writeFileSync(join(folder, "README.md"), `${[head, ...sections].join("\n\n")}\n`);
}

const only = process.argv.slice(2).find((arg) => !arg.startsWith("--"));
const missing = plan.filter((entry) => (!only || entry.name === only) && resultOf(entry) === undefined);
if (process.argv.includes("--list")) {
  for (const { name, command } of missing) console.log(`${name}: ${command}`);
  console.log(`${missing.length} comparisons are missing`);
} else {
  prepare();
  mkdirSync(folder, { recursive: true });
  for (const entry of missing) {
    console.log(`${entry.name}: ${entry.command}`);
    if (!make(entry)) {
      process.exitCode = 1;
      break;
    }
  }
  await writeReadme();
}
