/** Several labels per text: trains on train.jsonl, scores test.jsonl and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  createPredictor,
  deepPrompt,
  loadBackbone,
  multiLabelClassification,
  readDataset,
  train,
} from "ptuning";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const columns = { kind: "text", text: "text", labels: "topics" };
const data = await readDataset(file("train.jsonl"), { ...columns, test: file("test.jsonl"), devShare: 0.2 });
const backbone = await loadBackbone("minilm");
const task = multiLabelClassification({ labels: data.labels });
const options = {
  backbone,
  task,
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
const [prediction] = await predictor.predict([
  { text: "A goat is standing in our garden. Please collect it." },
]);
console.log(scores, prediction);
await backbone.close();
assert.ok(scores.microF1 >= 0.7, `expected a micro-F1 of at least 0.7, got ${scores.microF1}`);
