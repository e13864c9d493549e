import { mkdtempSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { type Backbone, loadBackbone, readWeight, withPrecision } from "ptuning/internal/backbones";
import { fineTuning } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { embedTexts } from "ptuning/internal/predict";
import { padBatch } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runReference } from "../../tools/reference/run.mjs";
import { askTransformers, expectEqualLogits } from "../support/checkpoints.ts";
import { ptuning } from "../support/cli.ts";
import { has } from "../support/requirements.ts";
import { eventsOf, ofType, tinyCsv, tinyData, tinyLmFolders, tinyOptions } from "../support/tiny.ts";

const folder = mkdtempSync(join(tmpdir(), "ptuning-forms-"));
const engine = nodeEngine({ threads: 1 });
let forms: Record<string, string> = {};
beforeAll(async () => {
  if (!has.python) return;
  forms = JSON.parse(await runReference("checkpoint_forms.py", tinyLmFolders.bert, folder));
}, 60_000);
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

/** Forms whose weights the runtime cannot read where they lie. */
const copied = ["fp64", "fp64-safetensors", "turned", "turned-legacy", "cut"];
const texts = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9"];

/** Every weight as float32, by our name. */
async function weightsOf({ weights, id }: Backbone): Promise<Record<string, Float32Array>> {
  const read: Record<string, Float32Array> = {};
  for (const name of [...weights.keys()].sort()) read[name] = (await readWeight(weights, name, id)).data;
  return read;
}

test.skipIf(!has.python)(
  "every weight, in fp32 and in int8, and what is computed with them",
  async () => {
    expect(Object.keys(forms).length).toBeGreaterThan(30);
    const seen = new Set<string>();
    for (const [form, twin] of Object.entries(forms)) {
      const own = await loadBackbone(join(folder, form), { engine });
      const plain = await loadBackbone(twin, { engine });
      expect(await weightsOf(own), form).toEqual(await weightsOf(plain));
      expect(await embedTexts(texts, own), form).toEqual(await embedTexts(texts, plain));
      const int8 = await withPrecision(own, "int8");
      expect(int8.precision, form).toBe("int8");
      expect(await embedTexts(texts, int8), form).toEqual(
        await embedTexts(texts, await withPrecision(plain, "int8")),
      );
      // What was made for a precision has no 16 bits left in it.
      expect(new Set([...int8.weights.values()].map(({ dtype }) => dtype))).toEqual(
        new Set(["float32", "int8"]),
      );
      const isInPlace = [...own.weights.values()].every(
        ({ source }) => dirname(source.path!) === realpathSync(join(folder, form)),
      );
      expect(isInPlace, form).toBe(!copied.includes(form));
      expect(own.parameterCount, form).toBe(plain.parameterCount);
      expect(seen, form).not.toContain(own.fingerprint);
      seen.add(own.fingerprint);
    }
  },
  240_000,
);

test.skipIf(!has.python)(
  "weights of 16 bits are trained as those of 32",
  async () => {
    const losses = async (place: string): Promise<number[]> => {
      const backbone = await loadBackbone(place, { engine });
      const options = tinyOptions(backbone, {
        method: fineTuning(),
        learningRate: 1e-3,
        epochs: 1,
        precision: "fp32",
      });
      return ofType(await eventsOf(options), "step").map(({ loss }) => loss);
    };
    for (const form of ["fp16", "bf16-legacy", "fp16-mixed", "turned", "fp64"]) {
      const own = await losses(join(folder, form));
      expect(own.length).toBeGreaterThan(3);
      expect(own, form).toEqual(await losses(forms[form]!));
    }
  },
  120_000,
);

/** What the command line says of training, predicting and evaluating on a backbone. */
async function runByCommands(backbone: string): Promise<Record<string, unknown>> {
  const output = mkdtempSync(join(folder, "run-"));
  const data = join(folder, "data.csv");
  writeFileSync(data, tinyCsv(60, 3));
  const settings = ["--epochs", "2", "--seed", "5", "--precision", "fp32", "--json", "--overwrite"];
  const answer = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await ptuning([...args, "--backbone", backbone]);
    expect(code, stderr).toBe(0);
    return stdout;
  };
  const trained = await answer("train", data, "--output", output, ...settings);
  const events: Record<string, unknown>[] = trained
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const losses = events.filter(({ type }) => type === "step").map(({ loss }) => loss);
  expect(losses.length).toBeGreaterThan(3);
  const adapter = join(output, "adapter");
  const { scores } = JSON.parse(await answer("evaluate", adapter, data, "--json"));
  return {
    losses,
    answers: await answer("predict", adapter, "w1 w2", "w7", "--json"),
    scores,
    weights: readFileSync(join(adapter, "adapter_model.safetensors")),
  };
}

test.skipIf(!has.python)(
  "the command line trains and predicts with files of PyTorch as with their safetensors",
  async () => {
    const twins = new Map<string, Record<string, unknown>>();
    for (const form of ["zip", "legacy", "shards", "bf16"]) {
      const place = forms[form]!;
      const twin = twins.get(place) ?? (await runByCommands(place));
      twins.set(place, twin);
      expect(await runByCommands(join(folder, form)), form).toEqual(twin);
    }
  },
  180_000,
);

test.skipIf(!has.python)(
  "a model that was tuned from 16 bits is saved in 32, whatever its configuration says, and transformers agrees",
  async () => {
    const place = join(folder, "fp16-legacy");
    const path = join(place, "config.json");
    writeFileSync(
      path,
      JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), torch_dtype: "float16" }),
    );
    const backbone = await loadBackbone(place, { engine });
    const task = sequenceClassification({
      labels: tinyData.labels,
      pooling: "pooler",
    }) as TrainOptions["task"];
    const options = tinyOptions(backbone, {
      task,
      method: fineTuning(),
      learningRate: 1e-3,
      epochs: 1,
      precision: "fp32",
    });
    const { adapter } = ofType(await eventsOf(options), "done")[0]!;
    const saved = join(folder, "saved");
    await adapter.save(saved);
    expect(JSON.parse(readFileSync(join(saved, "config.json"), "utf8"))).not.toHaveProperty("torch_dtype");
    const { params, method } = adapter;
    const rows = tinyData.dev.slice(0, 5);
    const { sequences } = await task.encode(rows, backbone.tokenizer, 16);
    const batch = padBatch(sequences, [...rows.keys()], backbone.config.padTokenId);
    const session = await engine.compile(inferenceGraph({ backbone, method, head: task.head }, params));
    const { logits } = await session.run({ ...batchFeeds(batch), ...params });
    const theirs = await askTransformers(saved, folder, batch);
    expect(theirs.unexpected).toEqual([]);
    expectEqualLogits(theirs, logits!);
  },
  120_000,
);
