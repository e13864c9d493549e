/** Methods see every frozen linear layer, with its input and output. */
import { type Backbone, withPrecision } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import type { Method } from "ptuning/internal/methods";
import { linearProbe } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph, initializeParams } from "ptuning/internal/model";
import { padBatch } from "ptuning/internal/text";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyBackbone } from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

/** A probe that does something with linear layers. */
const hooked = (linear: NonNullable<ReturnType<Method["build"]>["linear"]>): Method => {
  const probe = linearProbe();
  return { ...probe, build: (...args) => ({ ...probe.build(...args), linear }) };
};

test.each(["cls", "pooler"] as const)("each is met once, pooling %s", async (pooling) => {
  const met: [string, number, number][] = [];
  const method = hooked((_, name, x, y) => {
    met.push([name, x.shape[1] as number, y.shape[1] as number]);
    return y;
  });
  const { head } = sequenceClassification({ labels: ["a", "b"], pooling });
  const parts = { backbone, method, head };
  inferenceGraph(parts, await initializeParams(parts, new Rng(1)));
  const { architecture, config } = backbone;
  const all = architecture.linears(config).map(({ name, inputs, outputs }) => [name, inputs, outputs]);
  const pooler = pooling === "pooler" ? [["pooler.dense", config.hiddenSize, config.hiddenSize]] : [];
  expect(met.toSorted()).toEqual([...all, ...pooler].toSorted());
});

test.each(["fp32", "int8"] as const)("what a method makes of them is computed: %s", async (precision) => {
  const { head } = sequenceClassification({ labels: ["a", "b"], pooling: "cls" });
  const weighted = await withPrecision(backbone, precision);
  const sequences = await backbone.tokenizer.encode(["w1 w2 w3", "w4"], 16);
  const feeds = batchFeeds(padBatch(sequences, [0, 1], backbone.config.padTokenId));
  const logitsOf = async (method: Method): Promise<number[]> => {
    const parts = { backbone: weighted, method, head };
    const params = await initializeParams(parts, new Rng(1));
    await using session = await backbone.engine.compile(inferenceGraph(parts, params));
    const { logits } = await session.run({ ...feeds, ...params });
    return Array.from(logits!.data as Float32Array);
  };
  const plain = await logitsOf(linearProbe());
  expect(await logitsOf(hooked((_, __, ___, y) => y))).toEqual(plain);
  // Twice the keys and half the queries are the same attention.
  const scaled = hooked(({ b }, name, _, y) => {
    const factor = name.endsWith(".key") ? 2 : name.endsWith(".query") ? 0.5 : 1;
    return factor === 1 ? y : b.op("Mul", [y, b.scalar(factor)]);
  });
  const same = await logitsOf(scaled);
  for (const [i, logit] of plain.entries()) expect(same[i]).toBeCloseTo(logit, 5);
  const silent = hooked(({ b }, name, _, y) => (name.endsWith(".value") ? b.op("Mul", [y, b.scalar(0)]) : y));
  const other = await logitsOf(silent);
  expect(Math.abs(other[0]! - plain[0]!)).toBeGreaterThan(1e-3);
});
