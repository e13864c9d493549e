/** One of several alternatives: trains on train.jsonl, scores test.jsonl and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createPredictor, deepPrompt, loadBackbone, multipleChoice, readDataset, train } from "ptuning";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const columns = { kind: "choices", text: "text", choices: "choices", label: "label" };
const data = await readDataset(file("train.jsonl"), { ...columns, test: file("test.jsonl"), devShare: 0.2 });
const backbone = await loadBackbone("minilm");
const options = {
  backbone,
  task: multipleChoice(),
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
const choices = ["Take an umbrella.", "The trousers are blue.", "He lives upstairs."];
const [prediction] = await predictor.predict([{ text: "It looks like rain.", choices }]);
console.log(scores, prediction);
await backbone.close();
assert.ok(scores.accuracy >= 0.7, `expected an accuracy of at least 0.7, got ${scores.accuracy}`);
