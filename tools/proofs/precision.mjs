/**
 * What 8 bits cost: the same trained states scored on whole test sets with fp32 and with int8 layers, and runs with either
 * precision beside each other. Five recipes on real MiniLM, seeds that PTUNING_SEEDS lists (11,12,13); their precision is
 * int8 unless PTUNING_BOTH=1 also trains each in fp32. small: one epoch of TREC.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attach, loadAdapter } from "ptuning/internal/adapters";
import { loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { completeRunConfig, parseRunConfig, readData } from "ptuning/internal/config";
import { inferenceGraph, prepackFor } from "ptuning/internal/model";
import { forward } from "ptuning/internal/predict";
import { root } from "../prepare.mjs";
import { scratch } from "../scratch.mjs";

/** Of the mean difference, in points. */
const bar = 0.3;
const recipes = {
  "trec-minilm": "accuracy",
  "sick-entailment-minilm": "accuracy",
  "sst2-minilm": "accuracy",
  "conll04-minilm": "f1",
  "squad1-minilm": "f1",
};

/** Trains as the command line does. @param recipe its file, from the root of the repository */
export function trainRecipe(recipe, args) {
  const { status, stderr } = spawnSync(process.execPath, ["dist/cli/main.js", "train", recipe, ...args], {
    cwd: root,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${recipe}: ${stderr}`);
}

/** Points on the whole test set of a run. */
export async function scoreWith(adapter, backbone, precision, examples, metric) {
  const own = await withPrecision(backbone, precision);
  if (own.precision !== precision) throw new Error(`expected ${precision} layers, got ${own.precision}.`);
  const prepack = prepackFor("lean", own.precision);
  const session = await own.engine.compile(inferenceGraph(attach(adapter, own), adapter.params), { prepack });
  try {
    await session.bind(adapter.params);
    const encoded = await adapter.task.encode(examples, own.tokenizer, adapter.maxLength);
    const evaluator = adapter.task.evaluator(encoded);
    for await (const pass of forward(session, encoded, own, adapter.maxLength)) evaluator.add(pass);
    return rounded(100 * evaluator.result().scores[metric]);
  } finally {
    await session.release();
  }
}

const rounded = (points) => Number(points.toFixed(2));
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export async function prove({ size }) {
  const isSmall = size === "small";
  const seeds = isSmall ? [11] : (process.env.PTUNING_SEEDS ?? "11,12,13").split(",").map(Number);
  const trained = !isSmall && process.env.PTUNING_BOTH === "1" ? ["int8", "fp32"] : ["int8"];
  const sets = Object.entries(recipes).slice(0, isSmall ? 1 : undefined);
  const folder = await scratch("precision");
  const rows = [];
  const backbone = await loadBackbone("minilm");
  try {
    for (const seed of seeds) {
      for (const [recipe, metric] of sets) {
        const file = join(root, "recipes", `${recipe}.yaml`);
        const config = await completeRunConfig(
          parseRunConfig({ text: readFileSync(file, "utf8"), where: file }),
        );
        const { test } = await readData(config);
        for (const precision of trained) {
          const output = join(folder, `${recipe}-${seed}-${precision}`);
          const own = ["--seed", String(seed), "--precision", precision, "--output", output];
          trainRecipe(`recipes/${recipe}.yaml`, [...own, ...(isSmall ? ["--epochs", "1"] : [])]);
          const adapter = await loadAdapter(join(output, "adapter"));
          const scored = {};
          for (const layers of ["fp32", "int8"])
            scored[layers] = await scoreWith(adapter, backbone, layers, test, metric);
          rows.push({ recipe, seed, trained: precision, examples: test.length, metric, ...scored });
          process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
        }
      }
    }
  } finally {
    await backbone.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const sameStates = rows.filter(({ trained: by }) => by === "int8").map((row) => row.fp32 - row.int8);
  const meanDifference = rounded(mean(sameStates));
  if (!isSmall && Math.abs(meanDifference) > bar)
    throw new Error(`expected a mean difference of at most ${bar} points, got ${meanDifference}.`);
  return { bar, meanDifference, rows };
}
