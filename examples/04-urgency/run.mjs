/** A number per text: trains on train.csv, scores test.csv and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createPredictor, deepPrompt, loadBackbone, readDataset, train } from "ptuning";
import { familyOf } from "ptuning/tasks";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const columns = { kind: "text", text: "text", score: "urgency" };
const data = await readDataset(file("train.csv"), { ...columns, test: file("test.csv"), devShare: 0.2 });
const backbone = await loadBackbone("minilm");
const { resolve, create } = familyOf("regression");
const options = {
  backbone,
  // The task learns scores less their mean, in units of their deviation: what `resolve` takes from the data.
  task: create(resolve({}, data)),
  data,
  method: deepPrompt({ promptLength: 8 }),
  epochs: 30,
  batchSize: 8,
  seed: 11,
};
let adapter;
for await (const event of train(options)) if (event.type === "done") adapter = event.adapter;

const predictor = await createPredictor(adapter, backbone);
const { scores } = await predictor.evaluate(data.test);
const texts = ["Flames are coming out of the bin!", "The doorbell could be a little louder."];
const predictions = await predictor.predict(texts.map((text) => ({ text })));
console.log(scores, predictions);
await backbone.close();
assert.ok(scores.pearson >= 0.6, `expected a correlation of at least 0.6, got ${scores.pearson}`);
