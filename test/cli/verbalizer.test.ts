/** Verbalizers and pseudo-tokens from the command line, from training to answers; and answers without training. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { loadBackbone } from "ptuning/internal/backbones";
import { createPredictor, zeroShot } from "ptuning/internal/predict";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { afterAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { tinyData, tinyFolder, tinyLmFolders } from "../support/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-verbalizer-cli-"));
afterAll(() => rm(folder, { recursive: true }));
const data = join(folder, "data.csv");
const examples = tinyData.train.map(({ text, label }) => ({ text, label: label!.replace("class ", "c") }));
// The configuration says which column is the text: guessing would take another.
const rows = examples.map(({ text, label }, i) => `${examples.at(-1 - i)!.text},${text},${label}`);
writeFileSync(data, `text,body,label\n${rows.join("\n")}\n`);
const words = { c0: "w30", c1: ["w31", "w33 w29"], c2: "w32" };

const config = (backbone: string, method: string, template: string): string => {
  const path = join(folder, `${method.match(/\w+/g)!.join("-").slice(0, 20)}.yaml`);
  writeFileSync(
    path,
    `backbone: ${backbone}
data: { train: ${data}, text: body, label: label }
task:
  head: verbalizer
  template: "${template}"
  words: ${JSON.stringify(words)}
  calibrate: true
method: ${method}
training: { epochs: 1, maxLength: 20, precision: fp32 }
engine: { threads: 1 }
`,
  );
  return path;
};

test.each([
  ["{ name: p-tuning-v2, promptLength: 3 }", "{text} w34 {mask}"],
  [
    "{ name: p-tuning, placement: template, promptLength: 3, encoderHiddenSize: 8 }",
    "{p*2} {text} {p} {mask}",
  ],
])(
  "%s",
  async (method, template) => {
    const output = join(folder, `run-${template.length}`);
    const path = config(tinyLmFolders.bert, method, template);
    const trained = await ptuning(["train", path, "--output", output]);
    expect(trained.stderr).toMatch(/^data: .*\n$/);
    const adapter = join(output, "adapter");
    const { task } = JSON.parse(readFileSync(join(adapter, "ptuning.json"), "utf8"));
    expect(task.options).toMatchObject({ head: "verbalizer", template, calibrate: true });
    const backbone = ["--backbone", tinyLmFolders.bert];
    const scored = await ptuning(["evaluate", adapter, data, ...backbone, "--json"]);
    expect(JSON.parse(scored.stdout).scores.accuracy).toBeGreaterThanOrEqual(0);
    const answered = await ptuning(["predict", adapter, "w10 w1 w12", ...backbone, "--json"]);
    const answer = JSON.parse(answered.stdout);
    const total = Object.values<number>(answer.probabilities).reduce((a, b) => a + b);
    expect(Object.keys(answer.probabilities)).toEqual(["c0", "c1", "c2"]);
    expect(total).toBeCloseTo(1, 6);
    const inspected = await ptuning(["inspect", adapter]);
    expect(inspected.stdout).toContain("no: ");
    expect(inspected.stdout).toContain("PEFT has no verbalizer");
  },
  120_000,
);

test("a configuration in place of an adapter: the untouched backbone answers as the library's", async () => {
  const template = "{text} w34 {mask}";
  const path = config(tinyLmFolders.bert, "{ name: linear-probe }", template);
  // Some texts are cut.
  writeFileSync(path, readFileSync(path, "utf8").replace("maxLength: 20", "maxLength: 9"));
  const exactly = ["--precision", "fp32", "--json"];
  const scored = await ptuning(["evaluate", path, data, ...exactly]);
  expect(scored.stderr).toContain(`Nothing is trained: ${path} stands for tiny-bert-mlm as it is.`);
  const evaluation = JSON.parse(scored.stdout);
  const texts = examples.slice(0, 4).map(({ text }) => text);
  const answered = await ptuning(["predict", path, ...texts, ...exactly]);
  const answers = answered.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

  const engine = nodeEngine({ threads: 1 });
  const backbone = await loadBackbone(tinyLmFolders.bert, { engine });
  const labels = Object.keys(words);
  const task = sequenceClassification({ labels, head: "verbalizer", template, words, calibrate: true });
  const adapter = await zeroShot(task as Task, backbone, { maxLength: 9 });
  const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
  const { scores, loss } = await predictor.evaluate(examples);
  expect(evaluation).toMatchObject({ type: "evaluation", examples: examples.length, scores, loss });
  const expected = await predictor.predict(examples.slice(0, 4));
  expect(answers).toMatchObject(
    expected.map((answer, i) => ({ row: i + 1, text: texts[i], ...(answer as object) })),
  );
  await backbone.close();
}, 60_000);

test("a configuration whose head has to be trained stands for no adapter", async () => {
  const path = config(tinyLmFolders.bert, "{ name: linear-probe }", "{text} {mask}");
  const linear = join(folder, "linear.yaml");
  writeFileSync(linear, readFileSync(path, "utf8").replace(/^task:\n( .*\n)+/m, ""));
  const refused = await ptuning(["predict", linear, "w1"]);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/expected a task whose head has no parameters[\s\S]*Train it first/);
  const { code, stderr } = await ptuning(["evaluate", path, data, "--head", "other"]);
  expect(code).toBe(1);
  expect(stderr).toContain('head: expected none, got "other"');
}, 60_000);

test.each(["train", "evaluate"])(
  "%s refuses a backbone without a masked-LM head",
  async (command) => {
    const path = config(tinyFolder, "{ name: p-tuning-v2 }", "{text} {mask}");
    const { code, stderr } = await ptuning([command, path, ...(command === "evaluate" ? [data] : [])], {
      cwd: folder,
    });
    expect(code).toBe(1);
    expect(stderr).toContain("expected a masked-LM head, as the task's head is verbalizer, got none");
    expect(stderr).toContain("task.head: linear");
  },
  60_000,
);
