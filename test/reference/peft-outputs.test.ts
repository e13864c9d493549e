/** Adapters of PEFT in 16 bits, and with one output, on a tiny random backbone. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Adapter, loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { createPredictor } from "ptuning/internal/predict";
import { padBatch } from "ptuning/internal/text";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askPeft, ints, logitsOf, tensorsIn } from "../support/peft.ts";
import { has } from "../support/requirements.ts";
import { tinyBackbone } from "../support/tiny.ts";

const texts = ["w1 w2 w3", "w4 w5", "w9 w8 w7 w6 w5"];

describe.skipIf(!has.python)("adapters of PEFT", () => {
  let backbone: Backbone;
  let folder: string;
  beforeAll(async () => {
    backbone = await tinyBackbone();
    folder = await mkdtemp(join(tmpdir(), "ptuning-peft-outputs-"));
  });
  afterAll(async () => {
    await backbone.close();
    await rm(folder, { recursive: true });
  });

  /** Trains and saves an adapter with PEFT; gives its logits. */
  async function peft(path: string, labels: readonly number[], dtype: string): Promise<number[][]> {
    const sequences = await backbone.tokenizer.encode(texts, 32);
    const batch = padBatch(sequences, [...texts.keys()], backbone.config.padTokenId);
    const gold = { labels: ints([labels.length], labels) };
    return logitsOf(
      await askPeft({ backbone, batch, gold, folder }, "train", path, "PREFIX_TUNING", "SEQ_CLS", dtype),
    );
  }

  /** Our predictions of the same texts. */
  async function predictions<P>(path: string): Promise<P[]> {
    // The tiny backbone has no place for the usual length.
    const adapter = new Adapter({ ...(await loadAdapter(path)), maxLength: 32 });
    const options = { precision: "fp32" } as const;
    const predictor = await createPredictor<{ text: string }, P>(adapter, backbone, options);
    const found = await predictor.predict(texts.map((text) => ({ text })));
    await predictor.close();
    return [...found];
  }

  test.each([
    ["bfloat16", "BF16"],
    ["float16", "F16"],
  ])(
    "in %s are widened",
    async (dtype) => {
      const path = join(folder, dtype);
      const logits = await peft(path, [0, 1, 2], dtype);
      const saved = await tensorsIn(path);
      expect(Object.values(saved).map((tensor) => tensor.dtype)).toEqual(Object.keys(saved).map(() => dtype));
      const found = await predictions<{ probabilities: Record<string, number> }>(path);
      for (const [i, row] of logits.entries()) {
        const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
        for (const [c, probability] of Object.values(found[i]!.probabilities).entries())
          expect(probability).toBeCloseTo(Math.exp(row[c]!) / total, 4);
      }
    },
    180_000,
  );

  test("with one output are for regression", async () => {
    const path = join(folder, "regression");
    const logits = await peft(path, [0, 0, 0], "float32");
    expect((await loadAdapter(path)).task.type).toBe("regression");
    const scores = (await predictions<{ score: number }>(path)).map(({ score }) => score);
    for (const [i, [logit]] of logits.entries()) expect(scores[i]).toBeCloseTo(logit!, 4);
    await expect(loadAdapter(path, { labels: ["x"] })).rejects.toThrow(/labels: expected 0 names, got 1/);
  }, 180_000);
});
