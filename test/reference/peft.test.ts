/** Live exchange with PEFT, and the twin run: BERT on real weights, RoBERTa on random ones. */
import { mkdtempSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTable, type TextExample } from "ptuning/data";
import { Adapter, loadAdapter, referenceTo } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { deepPrompt, methods } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph, initializeParams, missingWeights } from "ptuning/internal/model";
import { padBatch } from "ptuning/internal/text";
import { train } from "ptuning/internal/train";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { multiTwin } from "../../tools/reference/multi-twin.mjs";
import { twin } from "../../tools/reference/twin.mjs";
import { askPeft, ints, type PeftAnswer, tensorsIn } from "../support/peft.ts";
import { has, repository } from "../support/requirements.ts";
import { tinyFolder, tinyRobertaFolder, writeTinyBackbone, writeTinyRoberta } from "../support/tiny.ts";

const example = `${repository}examples/01-support-intents/train.csv`;

const backbones = [
  { name: "minilm", isThere: has.minilm, maxLength: 64 },
  { name: tinyRobertaFolder, isThere: true, maxLength: 32 },
];
const present = backbones.filter(({ isThere }) => has.python && isThere);

describe.skipIf(present.length === 0).each(present)("PEFT on $name", ({ name, maxLength }) => {
  let backbone: Backbone;
  let folder: string;
  let examples: readonly TextExample[];
  let labels: readonly string[];
  beforeAll(async () => {
    backbone = await loadBackbone(name);
    folder = await mkdtemp(join(tmpdir(), "ptuning-peft-"));
    const data = await readTable(example, { text: "text", label: "intent" });
    examples = data.train.slice(0, 24);
    labels = data.labels;
  });
  afterAll(async () => {
    await backbone?.close();
    await rm(folder, { recursive: true });
  });

  /** Our logits of the examples, with fp32 weights. */
  async function ourLogits(adapter: Adapter): Promise<number[]> {
    const { task, params, frozen, method } = adapter;
    const encoded = await task.encode(examples, backbone.tokenizer, maxLength);
    const session = await backbone.engine.compile(
      inferenceGraph({ backbone, method, head: task.head, frozen }, params),
    );
    const batch = padBatch(
      encoded.sequences,
      examples.map((_, i) => i),
      backbone.config.padTokenId,
    );
    const { logits } = await session.run({ ...batchFeeds(batch), ...params });
    await session.release();
    return Array.from(logits!.data as Float32Array);
  }

  /** Runs PEFT on the same examples. */
  async function peft(mode: "load" | "train", path: string, type = "PREFIX_TUNING"): Promise<PeftAnswer> {
    const task = sequenceClassification({ labels });
    const encoded = await task.encode(examples, backbone.tokenizer, maxLength);
    const batch = padBatch(
      encoded.sequences,
      examples.map((_, i) => i),
      backbone.config.padTokenId,
    );
    const numbers = examples.map(({ label }) => labels.indexOf(label!));
    const gold = { labels: ints([numbers.length], numbers) };
    return askPeft({ backbone, batch, gold, folder }, mode, path, type);
  }

  function greatestDifference(ours: readonly number[], theirs: readonly number[][]): number {
    const flat = theirs.flat();
    expect(flat).toHaveLength(ours.length);
    return Math.max(...flat.map((logit, i) => Math.abs(logit - ours[i]!)));
  }

  test("loads an adapter that we trained, and computes the same logits", async () => {
    const data = { ...(await readTable(example, { text: "text", label: "intent" })), dev: [] };
    const task = sequenceClassification({ labels, preset: "peft" });
    const method = deepPrompt({ preset: "peft", promptLength: 9 });
    let adapter: Adapter | undefined;
    for await (const event of train({
      backbone,
      task,
      data,
      method,
      epochs: 1,
      precision: "fp32",
      maxLength,
    })) {
      if (event.type === "done") adapter = event.adapter;
    }
    await adapter!.save(join(folder, "ours"));
    const { logits, error } = await peft("load", join(folder, "ours"));
    expect(error).toBeUndefined();
    expect(greatestDifference(await ourLogits(adapter!), logits!)).toBeLessThan(1e-4);
  }, 180_000);

  test.each(["PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"])(
    "%s: PEFT → ours → PEFT keeps every tensor and the logits",
    async (type) => {
      const [theirs, back] = [join(folder, `theirs-${type}`), join(folder, `back-${type}`)];
      const { logits } = await peft("train", theirs, type);
      const adapter = await loadAdapter(theirs, { labels });
      expect(adapter.method.options.promptLength).toBe(7);
      expect(greatestDifference(await ourLogits(adapter), logits!)).toBeLessThan(1e-4);
      await adapter.save(back);
      expect(await tensorsIn(back)).toEqual(await tensorsIn(theirs));
      const again = await peft("load", back);
      expect(again.error).toBeUndefined();
      expect(again.logits).toEqual(logits);
    },
    300_000,
  );

  test("refuses an adapter that it would compute differently", async () => {
    const method = deepPrompt({ promptLayers: { last: 1 } });
    const task = sequenceClassification({ labels, preset: "peft" }) as Task;
    const parts = { backbone, method, head: task.head };
    const params = await initializeParams(parts, new Rng(1));
    const frozen = missingWeights(parts, new Rng(1));
    const provenance = { createdAt: "", versions: {} };
    await new Adapter({
      task,
      method,
      params,
      frozen,
      backbone: referenceTo(backbone),
      maxLength,
      provenance,
    }).save(join(folder, "partial"));
    const { error } = await peft("load", join(folder, "partial"));
    expect(error).toMatch(/PTUNING_DEEP_PROMPT/);
  }, 180_000);
});

// With room for a prompt and a text. RoBERTa reads every byte; BERT reads questions as few words, which is faster.
const folder = mkdtempSync(join(tmpdir(), "ptuning-tiny-"));
const longRoberta = writeTinyRoberta(join(folder, "roberta"), 1, { positions: 128 });
const longBert = writeTinyBackbone(join(folder, "bert"), 1, { positions: 256 });

describe.skipIf(!has.python || !has.data)("twin runs take the same steps from the same start", () => {
  test("two tasks of different types on one prompt, BERT with random weights", async () => {
    const options = { backbone: tinyFolder, maxLength: 28, log: () => {} };
    const result = await multiTwin("trec+conll04", 150, options);
    expect(result.firstLosses).toMatchObject({ count: 50 });
    expect(Math.min(...Object.values(result.updates))).toBeGreaterThan(30);
    // Decay or moments of an absent head would move its loss by far more.
    expect(result.allLosses.greatestDifference).toBeLessThan(1e-4);
    expect(result.dev.agreement).toBeGreaterThanOrEqual(0.98);
  }, 600_000);

  test.skipIf(!has.minilm).each([
    ["trec", 20],
    ["mit-movie-types", 10],
    ["stsb", 10],
    ["copa", 10],
    ["conll04", 6],
    ["squad", 4],
    ["ewt-word", 4],
    ["ewt-token-type", 4],
  ] as const)(
    "BERT, real weights, a few steps on %s",
    async (set, steps) => {
      const result = await twin(set, steps, { log: () => {} });
      expect(result.firstLosses.count).toBe(steps);
      expect(result.firstLosses.greatestDifference).toBeLessThan(1e-3);
      expect(result.dev.rows).toBeGreaterThanOrEqual(100);
      expect(result.dev.agreement).toBeGreaterThanOrEqual(0.98);
    },
    240_000,
  );

  test.skipIf(!has.minilm).each(["prompt-tuning", "p-tuning"])(
    "BERT, real weights, a few steps on trec with %s",
    async (method) => {
      const result = await twin("trec", 10, { method, log: () => {} });
      expect(result.firstLosses.count).toBe(10);
      expect(result.firstLosses.greatestDifference).toBeLessThan(1e-3);
      expect(result.dev.agreement).toBeGreaterThanOrEqual(0.98);
    },
    240_000,
  );

  describe.each([
    ["trec", "RoBERTa", longRoberta, 64],
    ["conll04", "RoBERTa", longRoberta, 64],
    ["squad", "BERT", longBert, 192],
    ["copa", "RoBERTa", longRoberta, 64],
  ] as const)("a few steps on %s, %s with random weights", (set, _, backbone, maxLength) => {
    test.each(Object.keys(methods).filter((method) => method !== "p-tuning-v2"))(
      "with %s",
      async (method) => {
        const result = await twin(set, 6, { backbone, maxLength, method, log: () => {} });
        const inPeft =
          method === "lora" ? ["trec", "conll04", "squad"] : method.startsWith("p") ? ["trec"] : [];
        expect(result.reference).toBe(inPeft.includes(set) ? "peft" : "plain");
        expect(result.firstLosses.count).toBe(6);
        // A tensor that is not trained, or decays where it should not, would differ by more.
        expect(result.firstLosses.greatestDifference).toBeLessThan(1e-5);
        expect(result.dev.agreement).toBeGreaterThanOrEqual(0.98);
      },
      120_000,
    );
  });

  test.each([
    ["trec", 64],
    ["mit-movie-types", 64],
    ["stsb", 64],
    ["copa", 64],
    ["conll04", 64],
    ["squad", 192],
    ["ewt-word", 64],
  ] as const)(
    "RoBERTa, random weights, on %s",
    async (set, maxLength) => {
      const result = await twin(set, 200, { backbone: "tiny-roberta", maxLength, log: () => {} });
      expect(result.firstLosses).toMatchObject({ count: 50 });
      expect(result.firstLosses.greatestDifference).toBeLessThan(1e-3);
      expect(result.dev.agreement).toBeGreaterThanOrEqual(0.98);
      if (set === "trec") expect(result.lastLoss.ours).toBeLessThan(1.7);
    },
    600_000,
  );
});
