/** GLM from the command line: trained with a verbalizer, saved, loaded, and asked; what it cannot do is refused. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { loadAdapter } from "ptuning/internal/adapters";
import { loadBackbone } from "ptuning/internal/backbones";
import { createPredictor } from "ptuning/internal/predict";
import { afterAll, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { writeTinyGlm } from "../support/glm.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-glm-cli-"));
afterAll(() => rm(folder, { recursive: true }));
const backbone = writeTinyGlm(join(folder, "tiny-glm"), ["good", "bad", "fine"]);
const data = join(folder, "data.csv");
const letters = ["a", "b"];
const texts = Array.from({ length: 24 }, (_, i) => ({
  text: `${letters[i % 2]!.repeat(1 + (i % 5))} ${"xyz"[i % 3]}`,
  label: i % 2 === 0 ? "pos" : "neg",
}));
writeFileSync(data, `text,label\n${texts.map(({ text, label }) => `${text},${label}`).join("\n")}\n`);
const verbalizer = [
  ...["--set", "task.head=verbalizer", "--set", "task.template={text} is {mask}."],
  ...["--set", 'task.words={"pos": ["good", "fine"], "neg": "bad"}'],
];
const shared = [
  ...["--backbone", backbone, "--threads", "1", "--dev", data],
  ...["--prompt-length", "3", "--max-length", "24", "--learning-rate", "0.03", "--batch-size", "4"],
];

test.each(["fp32", "int8", "int4"])(
  "trains, saves and answers with label words: %s",
  async (precision) => {
    const output = join(folder, `run-${precision}`);
    const chosen = ["--set", `training.precision=${precision}`, "--epochs", "12", "-o", output, "--json"];
    const trained = await ptuning(["train", data, ...shared, ...verbalizer, ...chosen]);
    expect(trained.code, trained.stderr).toBe(0);
    const events = trained.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const { best } = events.find(({ type }) => type === "result");
    const losses = events.filter(({ type }) => type === "step").map(({ loss }) => loss);
    const mean = (of: number[]): number => of.reduce((sum, loss) => sum + loss, 0) / of.length;
    expect(mean(losses.slice(-12))).toBeLessThan(0.8 * mean(losses.slice(0, 12)));
    const path = join(output, "adapter");
    const { task } = JSON.parse(readFileSync(join(path, "ptuning.json"), "utf8"));
    expect(task.options.pieces.flat(1).map((pieces: number[]) => pieces.length)).toEqual([1, 1, 1]);
    const asked = ["--backbone", backbone, "--precision", precision, "--threads", "1", "--json"];
    const scored = JSON.parse((await ptuning(["evaluate", path, data, ...asked])).stdout);
    expect(scored.scores.accuracy).toBe(best.scores.accuracy);
    expect(scored.loss).toBeCloseTo(best.loss, 6);
    const answered = JSON.parse((await ptuning(["predict", path, "aaa y", ...asked])).stdout);
    await using loaded = await loadBackbone(backbone, { engine: nodeEngine({ threads: 1 }) });
    const options = { precision: precision as "fp32" };
    await using predictor = await createPredictor(await loadAdapter(path), loaded, options);
    const [answer] = await predictor.predict([{ text: "aaa y" }]);
    expect(answered).toMatchObject(answer as object);
  },
  180_000,
);

test("lower layers are computed once for a prompt of the upper one, gaps included", async () => {
  const losses: number[][] = [];
  for (const cache of ["off", "memory"]) {
    const output = join(folder, `trunk-${cache}`);
    const dropout = ["--set", "training.hiddenDropout=0", "--set", "training.attentionDropout=0"];
    const own = ["--set", 'method.promptLayers={"last": 1}', "--set", `training.trunkCache=${cache}`];
    const more = [
      ...dropout,
      ...own,
      "--set",
      "training.precision=fp32",
      "--epochs",
      "2",
      "-o",
      output,
      "--json",
    ];
    const { stdout, stderr, code } = await ptuning(["train", data, ...shared, ...verbalizer, ...more]);
    expect(code, stderr).toBe(0);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    losses.push(events.filter(({ type }) => type === "step").map(({ loss }) => loss));
  }
  expect(losses[1]).toHaveLength(losses[0]!.length);
  for (const [i, loss] of losses[0]!.entries()) expect(losses[1]![i]).toBeCloseTo(loss, 4);
}, 180_000);

test("words of several pieces are refused with the reason", async () => {
  const words = [...verbalizer.slice(0, 4), "--set", 'task.words={"pos": "great", "neg": "bad"}'];
  const refused = await ptuning(["train", data, ...shared, ...words, "-o", join(folder, "refused")]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    'words.pos: expected words of one piece, as the backbone opens one answer at a time, got "great" of 5.',
  );
}, 60_000);
