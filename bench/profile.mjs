#!/usr/bin/env node
/**
 * Where a training step spends its time, by op: node bench/profile.mjs [minilm|bert-base|bert-large] [B] [S] [P] [fp32|int8]
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { floats, int32s, Rng } from "ptuning/internal/core";
import { simplify } from "ptuning/internal/graph";
import { deepPrompt } from "ptuning/internal/methods";
import { initializeParams, lossScaleInput, trainingGraph } from "ptuning/internal/model";
import { dropoutBanks, dropoutOffsets } from "ptuning/internal/nn";
import { encodeModel } from "ptuning/internal/onnx";
import { cutPasses } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { randomBackbone, sizes } from "./random-backbone.mjs";

const [name = "minilm", b = "32", s = "20", p = "20", precision = "fp32"] = process.argv.slice(2);
const [batch, S, P] = [b, s, p].map(Number);
const loaded = await loadBackbone(name in sizes ? await randomBackbone(name) : name);
const backbone = await withPrecision(loaded, precision);
// One pass of those that training cuts a batch into.
const { length: passes, 0: B } = cutPasses(new Array(batch).fill(S), backbone.config.intermediateSize, batch);
const task = sequenceClassification({ labels: ["a", "b"], pooling: "cls" });
const parts = { backbone, method: deepPrompt({ promptLength: P }), head: task.head };
const params = await initializeParams(parts, new Rng(1));
const { graph, dropout } = trainingGraph(parts, task, params);
const simplified = simplify(graph);
const [folder] = [...backbone.weights.values()].map((weight) => weight.folder);
const session = await InferenceSession.create(encodeModel(simplified), {
  graphOptimizationLevel: "all",
  enableMemPattern: false,
  intraOpNumThreads: 2,
  enableProfiling: true,
  profileFilePrefix: join(tmpdir(), "ptuning-profile"),
  logSeverityLevel: 3,
  extra: {
    session: {
      set_denormal_as_zero: "1",
      disable_quant_qdq: "1",
      model_external_initializers_file_folder_path: folder,
    },
    optimization: { disable_specified_optimizers: "SkipLayerNormFusion;ReshapeFusion" },
  },
});
const rng = new Rng(2);
const ids = (below) =>
  int32s(
    [S, B],
    Array.from({ length: S * B }, () => rng.integer(below)),
  );
const sizesOfBatch = { B, S };
const rows = Int32Array.from({ length: B }, (_, i) => i);
const feeds = {
  ...params,
  input_ids: ids(1000),
  token_type_ids: int32s([S, B], new Int32Array(S * B)),
  attention_mask: int32s([S, B], new Int32Array(S * B).fill(1)),
  ...task.targets({ labels: rows.map((i) => i % 2) }, { rows, length: S }),
  [lossScaleInput]: floats([], [1 / B]),
  ...dropoutBanks(dropout, sizesOfBatch, rng),
  ...dropoutOffsets(dropout, sizesOfBatch, sizesOfBatch, rng),
};
const ortFeeds = Object.fromEntries(
  Object.entries(feeds).map(([key, { dtype, data, shape }]) => [key, new Tensor(dtype, data, shape)]),
);
const runs = 6;
for (let i = 0; i < runs + 2; i++) await session.run(ortFeeds);
session.endProfiling();
await session.release();
await backbone.close();
const files = readdirSync(tmpdir())
  .filter((file) => file.startsWith("ptuning-profile"))
  .map((file) => join(tmpdir(), file));
const events = JSON.parse(readFileSync(files.at(-1), "utf8"));
for (const file of files) rmSync(file);
const totals = new Map();
let total = 0;
for (const { cat, name: event, dur, args } of events) {
  if (cat !== "Node" || !event.endsWith("_kernel_time")) continue;
  const phase = event.includes("grad") ? "backward" : "forward";
  const key = `${args.op_name} ${phase}`;
  const entry = totals.get(key) ?? { op: args.op_name, phase, us: 0, count: 0 };
  entry.us += dur;
  entry.count++;
  totals.set(key, entry);
  total += dur;
}
const iterations = (runs + 2) / passes;
console.log(
  `${name} B ${batch} S ${S} P ${P} ${precision}, ${passes} × ${B}: ${(total / iterations / 1000).toFixed(1)} ms in kernels per step`,
);
for (const { op, phase, us, count } of [...totals.values()].sort((a, b) => b.us - a.us).slice(0, 40)) {
  const share = ((100 * us) / total).toFixed(1).padStart(5);
  console.log(
    `${share} %  ${(us / iterations / 1000).toFixed(2).padStart(8)} ms  ${String(Math.round(count / iterations)).padStart(4)} ×  ${op} ${phase}`,
  );
}
