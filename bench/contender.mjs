#!/usr/bin/env node
/**
 * Our side of a step benchmark, in a process of its own. Speaks JSON lines:
 * prints {idleBytes}, builds, prints {ready}; for each "measure N" on standard input prints {seconds: [...]};
 * on "end" prints {peakBytes}.
 *   node bench/contender.mjs BACKBONE B S P fp32|int8 [fast|lean]
 */
import { readFileSync } from "node:fs";
import { nodeEngine } from "ptuning/engine";
import { loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { floats, int32s, Rng } from "ptuning/internal/core";
import { GraphBuilder } from "ptuning/internal/graph";
import { deepPrompt } from "ptuning/internal/methods";
import {
  gradientOutput,
  initializeParams,
  lossScaleInput,
  missingWeights,
  prepackFor,
  trainingGraph,
} from "ptuning/internal/model";
import { dropoutBanks, dropoutOffsets } from "ptuning/internal/nn";
import { adamW, applyUpdates } from "ptuning/internal/optim";
import { cutPasses } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { answerMeasures } from "./processes.mjs";
import { sizes as named, randomBackbone } from "./random-backbone.mjs";

const [backboneName, b, s, p, precision, memory = "fast"] = process.argv.slice(2);
const [B, S, P] = [b, s, p].map(Number);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const status = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

const folder = backboneName in named ? await randomBackbone(backboneName) : backboneName;
const engine = nodeEngine();
// Idle is a process that has loaded its libraries, as PEFT's side has imported torch.
const nothing = new GraphBuilder("nothing");
nothing.output("y", nothing.op("Neg", [nothing.input("x", "float32", [1])]));
const idle = await engine.compile(nothing.build());
await idle.run({ x: floats([1], [1]) });
say({ idleBytes: status("VmRSS") });
const backbone = await withPrecision(await loadBackbone(folder, { engine }), precision);
// As PEFT computes it: pooler, head dropout, the checkpoint's dropout.
const task = sequenceClassification({ labels: ["a", "b", "c"], preset: "peft" });
const given = { backbone, method: deepPrompt({ preset: "peft", promptLength: P }), head: task.head };
const parts = { ...given, frozen: missingWeights(given, new Rng(3)) };
const params = await initializeParams(parts, new Rng(1));
const { graph, dropout } = trainingGraph(parts, task, params, {}, memory);
const session = await backbone.engine.compile(graph, { prepack: prepackFor(memory, precision) });
const rng = new Rng(2);
const sizes = { B, S };
await session.bind(dropoutBanks(dropout, sizes, rng));
/** The feeds of a pass over the batch's examples `start … end − 1`. */
function passFeeds(start, end) {
  const shape = [S, end - start];
  const rows = Int32Array.from({ length: end - start }, (_, i) => i);
  const labels = rows.map((i) => (start + i) % 3);
  return {
    input_ids: int32s(
      shape,
      new Int32Array(S * rows.length).map(() => 1000 + rng.integer(20_000)),
    ),
    token_type_ids: int32s(shape, new Int32Array(S * rows.length)),
    attention_mask: int32s(shape, new Int32Array(S * rows.length).fill(1)),
    ...task.targets({ labels }, { rows, length: S }),
    [lossScaleInput]: floats([], [1 / B]),
  };
}
// Cut as training cuts its batches.
const ends = cutPasses(new Array(B).fill(S), backbone.config.intermediateSize, B);
const passes = ends.map((end, i) => passFeeds(ends[i - 1] ?? 0, end));
const optimizer = adamW({ schedule: () => 1e-2 });
const state = optimizer.init(params);
let count = 0;
async function step() {
  const grads = {};
  for (const feeds of passes) {
    const offsets = dropoutOffsets(dropout, sizes, { B: feeds.input_ids.shape[1], S }, rng);
    const outputs = await session.run({ ...feeds, ...offsets, ...params });
    for (const name of Object.keys(params)) {
      const grad = outputs[gradientOutput(name)];
      if (grads[name] === undefined) grads[name] = grad;
      else for (const [i, value] of grad.data.entries()) grads[name].data[i] += value;
    }
  }
  optimizer.update(grads, state, params, count++);
  applyUpdates(params, grads);
}
for (let i = 0; i < 2; i++) await step();
await answerMeasures(step);
say({ peakBytes: status("VmHWM") });
await backbone.close();
