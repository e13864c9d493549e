/** Answers in passages: trains on train.jsonl, scores test.jsonl and asserts its target. Run: node run.mjs */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { createPredictor, deepPrompt, loadBackbone, questionAnswering, readDataset, train } from "ptuning";

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const columns = { kind: "answers", question: "question", context: "context", answers: "answers" };
const data = await readDataset(file("train.jsonl"), { ...columns, test: file("test.jsonl"), devShare: 0.15 });
const backbone = await loadBackbone("minilm");
const options = {
  backbone,
  task: questionAnswering(),
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
const context = "The planetarium opens at six. Mrs Bloom sells tickets for nine euros in the blue kiosk.";
const questions = ["When does it open?", "What is the price of a ticket?", "Where are tickets sold?"];
const asked = questions.map((question, i) => ({ id: `${i}`, question, context }));
const answers = await predictor.predict(asked);
for (const [i, question] of questions.entries()) console.log(question, answers[i].text);
console.log(scores);
await backbone.close();
assert.ok(scores.f1 >= 0.5, `expected an F1 of at least 0.5, got ${scores.f1}`);
