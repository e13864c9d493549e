#!/usr/bin/env node
/**
 * Makes the grid of results/quality.yaml, ours beside the libraries that one would take instead, and rewrites
 * results/quality/README.md:
 *   node tools/quality.mjs [--list | --table] [--hours N] [--renew CONTENDER …] [PART-OF-A-RUN'S-NAME …]
 * Runs what has no row yet in the plan's order, until the hours are spent; the run that is under way then is finished. A row in
 * results/quality/rows.jsonl is one run: score, seconds from the start of its process to the saved model, hash of
 * what the plan says of it, fingerprints of its data, commit, versions, hardware. What stands otherwise in the plan or has other
 * data is made anew; with --renew so is what a contender did at another commit.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { commitOfSources } from "./origin.mjs";
import { prepare, root } from "./prepare.mjs";
import { cellsOf, contendersOf, currentRows, missingRuns, readPlan, specOf } from "./quality/plan.mjs";

const folder = join(root, "results/quality");
const path = join(folder, "rows.jsonl");
const { values: flags, positionals: parts } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean" },
    table: { type: "boolean" },
    hours: { type: "string" },
    renew: { type: "string", multiple: true, default: [] },
  },
});
const hours = Number(flags.hours ?? Number.POSITIVE_INFINITY);
const plan = readPlan();
const unknown = flags.renew.find((name) => !(name in plan.contenders));
if (!(hours > 0) || unknown !== undefined) {
  const known = Object.keys(plan.contenders).join(", ");
  console.error(
    unknown === undefined
      ? `--hours: expected a number above 0, got ${flags.hours}.`
      : `--renew: expected one of ${known}, got ${unknown}.`,
  );
  process.exit(2);
}
process.chdir(root);
prepare();
// Built by now.
const { cpuFacts, describeMachine } = await import("../dist/engine/index.js");
const { locateBackbone } = await import("../dist/backbones/index.js");
const { lockFile } = await import("../dist/files/index.js");
const { drawTest, drawTrain, fingerprintOf, readSet } = await import("./quality/data.mjs");
const { execute } = await import("./quality/execute.mjs");
const { appendRow, readRows } = await import("./quality/rows.mjs");
const { writeSummary } = await import("./quality/summary.mjs");

const all = cellsOf(plan);
/** `minilm/trec/64 seed 11 SetFit` */
const nameOf = ({ cell, seed, contender }) => `${cell} seed ${seed} ${contender}`;
const isAsked = (run) => parts.length === 0 || parts.some((part) => nameOf(run).includes(part));
const wanted = all.filter((cell) =>
  contendersOf(plan, cell).some(({ name: contender }) =>
    cell.seeds.some((seed) => isAsked({ cell: cell.name, seed, contender })),
  ),
);
const cellNamed = new Map(all.map((cell) => [cell.name, cell]));
const commit = commitOfSources();
const hasBf16 = cpuFacts().extensions.some((name) => name.endsWith("_bf16"));

const sets = new Map();
const draws = new Map();
/** Rows and fingerprints of a cell with a seed. */
async function drawn(cell, seed) {
  const key = `${cell.set} ${cell.rows} ${seed}`;
  if (!sets.has(cell.set)) sets.set(cell.set, await readSet(plan.sets[cell.set]));
  const set = sets.get(cell.set);
  if (!draws.has(key)) {
    const [train, test] = [drawTrain(set, cell.rows, seed), drawTest(set, plan.test)];
    draws.set(key, { train, test, data: fingerprintOf(train, test) });
  }
  return draws.get(key);
}

/** Makes a run, or takes the row of the contender that it would repeat. */
async function rowOf(run, rows) {
  const cell = cellNamed.get(run.cell);
  const contender = contendersOf(plan, cell).find(({ name }) => name === run.contender);
  const { same } = contender;
  const twin =
    same &&
    rows.find(
      (row) =>
        row.cell === run.cell &&
        row.seed === run.seed &&
        row.contender === same.contender &&
        row.tuned.includes(same.tuned) &&
        row.commit === commit,
    );
  const spec = specOf(plan, cell, contender);
  if (twin !== undefined) return { ...twin, ...run, spec, from: same.contender };
  const { train, test, data } = await drawn(cell, run.seed);
  const threads = availableParallelism();
  const [load] = loadavg();
  const { folder: backboneFolder } = await locateBackbone(cell.backbone);
  const { score, seconds, facts } = await execute({
    ...{ contender, cell, seed: run.seed, precision: run.precision, threads, backboneFolder, train, test },
    folder: join(root, ".cache/quality/run"),
  });
  return {
    ...run,
    ...{ metric: cell.score, score, seconds, ...facts },
    examples: { train: train.length, test: test.length },
    ...{ spec, data, commit, date: new Date().toISOString().slice(0, 10) },
    hardware: describeMachine(),
    threads,
    // Of the machine when the run began: seconds under other work are no measure of speed.
    load: Number(load.toFixed(1)),
  };
}

/** The same with the precision, where it is the grid that chooses it. */
const inFull = ({ precision = "the faster precision", ...run }) =>
  `${nameOf(run)}${precision === "auto" ? "" : ` in ${precision}`}`;

const fingerprints = new Map();
for (const cell of wanted) {
  for (const seed of cell.seeds) {
    fingerprints.set(`${cell.name} ${seed}`, (await drawn(cell, seed)).data);
  }
}
const holding = (rows) =>
  currentRows(plan, rows, {
    fingerprints: (cell, seed) => fingerprints.get(`${cell} ${seed}`),
    ...{ renewed: flags.renew, commit },
  });
const { rows, ofOtherData } = holding(readRows(path));
if (ofOtherData > 0) console.log(`${ofOtherData} rows are of other data: they do not count.`);

if (flags.list) {
  const missing = missingRuns(plan, wanted, rows, hasBf16).filter(isAsked);
  for (const run of missing) console.log(inFull(run));
  console.log(`${missing.length} runs are missing`);
} else {
  mkdirSync(folder, { recursive: true });
  if (!flags.table) await work();
  writeFileSync(join(folder, "README.md"), await writeSummary(plan, rows, folder));
}

async function work() {
  mkdirSync(join(root, ".cache/quality"), { recursive: true });
  const release = await lockFile(join(root, ".cache/quality/lock"), { what: "the grid" });
  const end = performance.now() + hours * 3_600_000;
  const failed = new Set();
  try {
    while (performance.now() < end) {
      const missing = missingRuns(plan, wanted, rows, hasBf16).filter(isAsked);
      const run = missing.find((one) => one.precision !== undefined && !failed.has(inFull(one)));
      if (run === undefined) break;
      console.log(`${missing.length} left: ${inFull(run)}`);
      try {
        const row = await rowOf(run, rows);
        await appendRow(path, row);
        rows.push(row);
        console.log(`  ${row.metric} ${(100 * row.score).toFixed(1)} in ${row.seconds} s`);
      } catch (error) {
        failed.add(inFull(run));
        process.exitCode = 1;
        console.error(`  failed: ${error.message}`);
      }
    }
  } finally {
    await release();
  }
}
