/** Spans in texts: trains on train.jsonl, scores test.jsonl and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createPredictor, deepPrompt, loadBackbone, readDataset, tokenClassification, train } from "ptuning";
import { spanLabels } from "ptuning/tasks";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const data = await readDataset(file("train.jsonl"), {
  kind: "tokens",
  test: file("test.jsonl"),
  devShare: 0.15,
});
const backbone = await loadBackbone("minilm");
const options = {
  backbone,
  task: tokenClassification({ labels: spanLabels(data.train) }),
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
const text = "Boil half a litre of cider for ten minutes.";
const [{ entities }] = await predictor.predict([adapter.task.fromText(text)]);
console.log(scores, entities);
await backbone.close();
assert.ok(scores.f1 >= 0.6, `expected an F1 of at least 0.6, got ${scores.f1}`);
