#!/usr/bin/env node
/**
 * Our side of the prediction benchmark, in a process of its own: texts in, labels out, with an adapter of 20 prompt
 * positions. Speaks the JSON lines of contender.mjs; a measured unit is a pass over all texts.
 * or, with "single", a call for each text.
 *   node bench/predict-contender.mjs BACKBONE TEXTS.json fp32|int8 [single]
 */
import { readFileSync } from "node:fs";
import { nodeEngine } from "ptuning/engine";
import { Adapter, referenceTo } from "ptuning/internal/adapters";
import { loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { deepPrompt } from "ptuning/internal/methods";
import { initializeParams, missingWeights } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import { sequenceClassification } from "ptuning/tasks";
import { answerMeasures } from "./processes.mjs";

const [place, file, precision, single] = process.argv.slice(2);
const examples = JSON.parse(readFileSync(file, "utf8")).map((text) => ({ text }));
const backbone = await loadBackbone(place, { engine: nodeEngine() });
const task = sequenceClassification({ labels: ["a", "b", "c"], preset: "peft" });
const method = deepPrompt({ preset: "peft", promptLength: 20 });
const parts = { backbone, method, head: task.head };
const adapter = new Adapter({
  task,
  method,
  params: await initializeParams(parts, new Rng(1)),
  frozen: missingWeights(parts, new Rng(1)),
  backbone: referenceTo(backbone),
  maxLength: 256,
  provenance: { createdAt: "", versions: {} },
});
const predictor = await createPredictor(adapter, backbone, { precision });
await predictor.predict(examples.slice(0, 64));
await answerMeasures(async () => {
  if (!single) return predictor.predict(examples);
  for (const example of examples) await predictor.predict([example]);
});
await backbone.close();
