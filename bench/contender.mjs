#!/usr/bin/env node
/**
 * Our side of a step benchmark, in a process of its own. Speaks JSON lines:
 * prints {idleBytes}, builds, prints {ready}; for each "measure N" on standard input prints {seconds: [...]};
 * on "end" prints {peakBytes}.
 *   node bench/contender.mjs BACKBONE B S P fp32|int8
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { loadBackbone, withPrecision } from "ptuning/backbones";
import { floats, int32s, Rng } from "ptuning/core";
import { nodeEngine } from "ptuning/engine";
import { deepPrompt } from "ptuning/methods";
import { gradientOutput, initializeParams, lossScaleInput, trainingGraph } from "ptuning/model";
import { dropoutBanks, dropoutOffsets } from "ptuning/nn";
import { adamW, applyUpdates } from "ptuning/optim";
import { sequenceClassification } from "ptuning/tasks";

const [backboneName, b, s, p, precision] = process.argv.slice(2);
const [B, S, P] = [b, s, p].map(Number);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const status = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

say({ idleBytes: status("VmRSS") });
const backbone = await withPrecision(await loadBackbone(backboneName, { engine: nodeEngine() }), precision);
// As PEFT computes it: pooler, head dropout, the checkpoint's dropout.
const task = sequenceClassification({ labels: ["a", "b", "c"], preset: "peft" });
const parts = { backbone, method: deepPrompt({ preset: "peft", promptLength: P }), head: task.head };
const params = await initializeParams(parts, new Rng(1));
const { graph, dropout } = trainingGraph(parts, task, params);
const session = await backbone.engine.compile(graph, { prepack: true });
const rng = new Rng(2);
const sizes = { B, S };
await session.bind(dropoutBanks(dropout, sizes, rng));
const ids = int32s(
  [S, B],
  Array.from({ length: S * B }, () => 1000 + rng.integer(20_000)),
);
const feeds = {
  input_ids: ids,
  token_type_ids: int32s([S, B], new Int32Array(S * B)),
  attention_mask: int32s([S, B], new Int32Array(S * B).fill(1)),
  targets: floats(
    [B, 3],
    Array.from({ length: 3 * B }, (_, i) => (i % 3 === Math.floor(i / 3) % 3 ? 1 : 0)),
  ),
  [lossScaleInput]: floats([], [1 / B]),
};
const optimizer = adamW({ schedule: () => 1e-2 });
const state = optimizer.init(params);
let count = 0;
async function step() {
  const outputs = await session.run({ ...feeds, ...dropoutOffsets(dropout, sizes, sizes, rng), ...params });
  const grads = Object.fromEntries(Object.keys(params).map((name) => [name, outputs[gradientOutput(name)]]));
  optimizer.update(grads, state, params, count++);
  applyUpdates(params, grads);
}
for (let i = 0; i < 2; i++) await step();
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "end") break;
  const seconds = [];
  for (let i = 0; i < Number(line.split(" ")[1]); i++) {
    const started = performance.now();
    await step();
    seconds.push((performance.now() - started) / 1000);
  }
  say({ seconds });
}
say({ peakBytes: status("VmHWM") });
await backbone.close();
