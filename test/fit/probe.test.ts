/** Linear probes that are fitted, and what they read: means of every layer. */
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { baselineScores } from "ptuning/internal/baselines";
import { Rng } from "ptuning/internal/core";
import { headFeatures } from "ptuning/internal/fit";
import { type Pooling, sequenceHead } from "ptuning/internal/heads";
import { deepPrompt, linearProbe, type Method, promptTuning } from "ptuning/internal/methods";
import { initializeParams } from "ptuning/internal/model";
import { createPredictor } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { referencePython } from "../../tools/reference/run.mjs";
import { has, repository } from "../support/requirements.ts";
import {
  eventsOf,
  ofType,
  tinyBackbone,
  tinyData,
  tinyFolder,
  tinyOptions,
  tinyRoberta,
} from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-probe-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const maxLength = 16;

async function featuresOf(on: Backbone, method: Method, pooling: Pooling) {
  const task = sequenceClassification({ labels: tinyData.labels });
  const encoded = await task.encode(tinyData.dev, on.tokenizer, maxLength);
  const parts = { backbone: on, method, head: sequenceHead(3, { pooling }) };
  const params = await initializeParams(parts, new Rng(1));
  const own = { ...params };
  const features = await headFeatures({ parts, params: own, maxLength, rng: new Rng(1) }, encoded);
  return { features, encoded };
}

const unit = (row: Float32Array): number[] => {
  const norm = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
  return Array.from(row, (x) => x / norm);
};

test.skipIf(!has.python)(
  "every layer's mean is transformers'",
  async () => {
    const { features, encoded } = await featuresOf(backbone, linearProbe(), "layers");
    const { starts, ids, count } = encoded.sequences;
    const texts = Array.from({ length: count }, (_, i) => [...ids.subarray(starts[i]!, starts[i + 1]!)]);
    const [input, output] = [join(folder, "in.json"), join(folder, "out.json")];
    await writeFile(input, JSON.stringify({ folder: tinyFolder, texts }));
    const args = [`${repository}tools/reference/layer_means.py`, input, output];
    const { status, stderr } = spawnSync(referencePython(), args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const theirs: number[][] = JSON.parse(await readFile(output, "utf8"));
    // Two layers and the embeddings.
    expect(features.width).toBe(3 * 32);
    const differences = theirs.flat().map((value, i) => Math.abs(value - features.data[i]!));
    expect(differences).toHaveLength(count * 96);
    expect(Math.max(...differences)).toBeLessThan(1e-5);
  },
  120_000,
);

test.each([
  ["an untouched backbone", linearProbe()],
  ["deep prompts", deepPrompt({ promptLength: 3, initScale: 0.5 })],
  ["vectors in front of the text", promptTuning({ promptLength: 3 })],
] as const)("the last of the means is that of mean pooling: %s", async (_, method) => {
  const roberta = await tinyRoberta();
  for (const on of [backbone, roberta]) {
    const { features: all } = await featuresOf(on, method, "layers");
    const { features: last } = await featuresOf(on, method, "mean");
    for (let row = 0; row < all.rows.length; row++) {
      const own = all.data.subarray(row * 96 + 64, (row + 1) * 96);
      for (const [i, value] of unit(last.data.subarray(row * 32, (row + 1) * 32)).entries())
        expect(own[i]!).toBeCloseTo(value, 5);
    }
  }
  await roberta.close();
});

test.each(["layers", "mean"] as const)(
  "a fitted probe on %s is an adapter like any other",
  async (pooling) => {
    const task = sequenceClassification({ labels: tinyData.labels, pooling }) as TrainOptions["task"];
    const options = tinyOptions(backbone, { method: linearProbe({ solver: "fit" }), task, epochs: 5 });
    const events = await eventsOf(options);
    expect(events.map(({ type }) => type)).toEqual(["start", "warning", "refit", "done"]);
    expect(ofType(events, "start")[0]).toMatchObject({ totalSteps: 0, settings: { epochs: 0 } });
    const [refit] = ofType(events, "refit");
    expect(refit).toMatchObject({ rows: 96, features: pooling === "layers" ? 96 : 32, taken: true });
    expect(refit!.trained).toBeUndefined();
    const [done] = ofType(events, "done");
    expect(done!.best).toMatchObject({ step: 0, ...refit!.fitted });
    // Labels are words of the texts: the means of their embeddings tell them.
    expect(done!.best!.scores.accuracy).toBeGreaterThan(0.8);
    const path = join(folder, pooling);
    await done!.adapter.save(path);
    const loaded = await loadAdapter(path);
    expect(loaded.task.options.pooling).toBe(pooling);
    expect(loaded.method.options).toEqual({ solver: "fit" });
    const predictor = await createPredictor(loaded, backbone, { precision: "fp32" });
    expect((await predictor.evaluate(tinyData.dev)).scores).toEqual(done!.best!.scores);
    await predictor.close();
    const again = await eventsOf(options);
    expect(ofType(again, "done")[0]!.adapter.params).toEqual(done!.adapter.params);
  },
);

test("a probe is fitted without a dev set, under presets and with refit: never, as nothing else would be", async () => {
  const task = sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as TrainOptions["task"];
  const change = {
    method: linearProbe({ solver: "fit" }),
    task,
    data: { ...tinyData, dev: [] },
    refit: "never",
  } as const;
  const events = await eventsOf(tinyOptions(backbone, change));
  expect(ofType(events, "refit")[0]).toMatchObject({ taken: true, rows: 96 });
  expect(ofType(events, "done")[0]!.best).toBeUndefined();
  const weight = ofType(events, "done")[0]!.adapter.params["head.weight"]!;
  expect(Math.max(...weight.data.map(Math.abs))).toBeGreaterThan(0.1);
});

test("that there are no epochs is said where some were asked for", async () => {
  const { epochs, ...options } = tinyOptions(backbone, { method: linearProbe({ solver: "fit" }) });
  const unused = async (more: object): Promise<string[]> =>
    ofType(await eventsOf({ ...options, ...more }), "warning").flatMap(({ code, message }) =>
      code === "unused" ? [message] : [],
    );
  expect(await unused({ epochs: 8 })).toEqual([
    expect.stringMatching(/training\.epochs: 8 says nothing here/),
  ]);
  expect(await unused({})).toEqual([]);
});

test("heads that are not linear on one vector are refused", async () => {
  const task = tokenClassification({ labels: ["B-X", "O"] }) as TrainOptions["task"];
  await expect(
    eventsOf(tinyOptions(backbone, { method: linearProbe({ solver: "fit" }), task })),
  ).rejects.toMatchObject({
    code: "OPTION_INVALID",
    message: expect.stringMatching(/head token.*linear-probe/),
  });
});

test("prompts below a head on every layer learn, and a trunk keeps nothing", async () => {
  const task = sequenceClassification({ labels: tinyData.labels, pooling: "layers" }) as TrainOptions["task"];
  const method = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
  const events = await eventsOf(
    tinyOptions(backbone, { task, method, trunkCache: "memory", refit: "never", memory: "lean", epochs: 6 }),
  );
  expect(ofType(events, "trunk")[0]).toMatchObject({ layers: 0 });
  expect(ofType(events, "done")[0]!.best!.scores.accuracy).toBeGreaterThan(0.7);
});

test("the baseline of all layers is such a probe", async () => {
  const task = sequenceClassification({ labels: tinyData.labels }) as TrainOptions["task"];
  const scores = await baselineScores(task, tinyData, backbone);
  const all = scores.find(({ name }) => name === "all layers + linear model")!;
  expect(all.scores.accuracy).toBeGreaterThan(0.8);
  const other = await loadBackbone(tinyFolder, { engine: backbone.engine });
  expect(await baselineScores(task, tinyData, other)).toEqual(scores);
});
