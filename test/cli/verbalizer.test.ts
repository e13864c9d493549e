/** Verbalizers and pseudo-tokens from the command line, from training to answers. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { tinyData, tinyFolder, tinyLmFolders } from "../support/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-verbalizer-cli-"));
afterAll(() => rm(folder, { recursive: true }));
const data = join(folder, "data.csv");
const rows = tinyData.train.map(({ text, label }) => `${text},${label!.replace("class ", "c")}`);
writeFileSync(data, `text,label\n${rows.join("\n")}\n`);

const config = (backbone: string, method: string, template: string): string => {
  const path = join(folder, `${method.match(/\w+/g)!.join("-").slice(0, 20)}.yaml`);
  writeFileSync(
    path,
    `backbone: ${backbone}
data: { train: ${data}, text: text, label: label }
task:
  head: verbalizer
  template: "${template}"
  words: { c0: w30, c1: [w31, w33 w29], c2: w32 }
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
    expect(trained.stderr).toBe("");
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

test("a backbone without a masked-LM head is refused", async () => {
  const path = config(tinyFolder, "{ name: p-tuning-v2 }", "{text} {mask}");
  const { code, stderr } = await ptuning(["train", path, "--output", join(folder, "refused")]);
  expect(code).toBe(1);
  expect(stderr).toContain("expected a masked-LM head, as the task's head is verbalizer, got none");
  expect(stderr).toContain("task.head: linear");
}, 60_000);
