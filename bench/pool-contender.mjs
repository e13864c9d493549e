#!/usr/bin/env node
/**
 * The pool's benchmark, in a process of its own: many adapters on one pool, each request another one, against one adapter for
 * each task on predictors. Says first what adapters cost; then each line of standard input, `pool` or `alone`, is one pass over all
 * texts.
 *   node bench/pool-contender.mjs BACKBONE TEXTS.json fp32|int8 ADAPTERS
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { nodeEngine } from "ptuning/engine";
import { Adapter, referenceTo } from "ptuning/internal/adapters";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { deepPrompt } from "ptuning/internal/methods";
import { initializeParams } from "ptuning/internal/model";
import { createPredictor, createPredictorPool } from "ptuning/internal/predict";
import {
  multiLabelClassification,
  sequenceClassification,
  textRegression,
  tokenClassification,
} from "ptuning/tasks";

const [place, file, precision, count] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(file, "utf8"));
const backbone = await loadBackbone(place, { engine: nodeEngine() });
const letters = Array.from("abcdef");
const kinds = [
  { task: sequenceClassification({ labels: letters }), example: (text) => ({ text }) },
  { task: multiLabelClassification({ labels: letters }), example: (text) => ({ text }) },
  { task: textRegression({}), example: (text) => ({ text }) },
  {
    task: tokenClassification({ labels: ["O", "B-a", "I-a", "B-b", "I-b"] }),
    example: (text) => ({ words: text.split(" ").filter(Boolean) }),
  },
];
const method = deepPrompt({ promptLength: 20 });
const made = async (i) => {
  const { task } = kinds[i % kinds.length];
  return new Adapter({
    ...{ task, method, maxLength: 128, backbone: referenceTo(backbone) },
    params: await initializeParams({ backbone, method, head: task.head }, new Rng(i)),
    provenance: { createdAt: "", versions: {} },
  });
};
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const examples = texts.map((text, i) => kinds[i % kinds.length].example(text));
const folder = mkdtempSync(join(tmpdir(), "ptuning-pool-"));
for (let i = 0; i < Number(count); i++) await (await made(i)).save(join(folder, `${i}`));

const pool = await createPredictorPool(backbone, { precision });
const add = (i) => pool.add(`${i}`, join(folder, `${i}`));
for (let i = 0; i < kinds.length; i++) await add(i);
// What the first of each kind brings is there before the others are weighed.
await pool.predict(examples.slice(0, 64).map((example, i) => ({ adapter: `${i % kinds.length}`, example })));
collectGarbage();
const resident = process.memoryUsage.rss();
const milliseconds = [];
for (let i = kinds.length; i < Number(count); i++) {
  const started = performance.now();
  await add(i);
  milliseconds.push(performance.now() - started);
}
collectGarbage();
const residentBytes = (process.memoryUsage.rss() - resident) / Math.max(1, milliseconds.length);
const predictors = [];
for (const i of kinds.keys()) predictors.push(await createPredictor(await made(i), backbone, { precision }));
say({
  adapterBytes: pool.list()[0].bytes,
  residentBytes,
  milliseconds,
});
const passes = {
  pool: () => pool.predict(examples.map((example, i) => ({ adapter: `${i % Number(count)}`, example }))),
  alone: async () => {
    for (const [k, predictor] of predictors.entries())
      await predictor.predict(examples.filter((_, i) => i % kinds.length === k));
  },
};
await passes.pool();
await passes.alone();
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  const started = performance.now();
  await passes[line]();
  say({ seconds: (performance.now() - started) / 1000 });
}
rmSync(folder, { recursive: true });
await pool.close();
await backbone.close();
