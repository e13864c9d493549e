/** Semantic roles: trains on train.txt, scores test.txt and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createPredictor, deepPrompt, loadBackbone, readDataset, semanticRoles, train } from "ptuning";
import { spanLabels } from "ptuning/tasks";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const data = await readDataset(file("train.txt"), {
  kind: "roles",
  test: file("test.txt"),
  devShare: 0.15,
});
const backbone = await loadBackbone("minilm");
const options = {
  backbone,
  task: semanticRoles({ labels: spanLabels(data.train) }),
  data,
  method: deepPrompt({ promptLength: 8 }),
  epochs: 60,
  batchSize: 8,
  seed: 11,
};
let adapter;
for await (const event of train(options)) if (event.type === "done") adapter = event.adapter;

const predictor = await createPredictor(adapter, backbone);
const { scores } = await predictor.evaluate(data.test);
// Of the same words, who gives and who receives depends on the verb that is asked about.
const words = "Ada bought a drum from Leo and gave it to Max .".split(" ");
const predictions = await predictor.predict([1, 7].map((predicate) => ({ words, predicate })));
for (const { predicate, roles } of predictions) {
  console.log(words[predicate], Object.fromEntries(roles.map(({ role, text }) => [role, text])));
}
console.log(scores);
await backbone.close();
assert.ok(
  scores.f1WithoutV >= 0.6,
  `expected an F1 without the verb of at least 0.6, got ${scores.f1WithoutV}`,
);
