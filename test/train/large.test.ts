/** Parameters too many for loops on the host: they stay with the engine, and so does the optimizer. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import type { Params } from "ptuning/internal/core";
import { fineTuning } from "ptuning/internal/methods";
import { adamW, applyUpdates, engineAdamW } from "ptuning/internal/optim";
import type { TrainOptions } from "ptuning/internal/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { eventsOf, ofType, tinyOptions, writeTinyBackbone } from "../support/tiny.ts";

const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());

const drawn = (seed: number, length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(seed * 1000 + i * 1.7));
const tensors = (seed: number): Params => ({
  matrix: { dtype: "float32", shape: [300, 1000], data: drawn(seed, 300_000) },
  bias: { dtype: "float32", shape: [7], data: drawn(seed + 1, 7) },
});

describe.each([
  ["ONNX Runtime", native],
  ["the reference engine", referenceEngine()],
])("AdamW on %s", (_, engine: Engine) => {
  test("makes the updates of AdamW on the host", async () => {
    const rateFactors = (name: string): number => (name === "bias" ? 3 : 1);
    const options = { schedule: () => 1e-2, weightDecay: 0.1, clipNorm: 0.5, rateFactors };
    const [host, ours] = [adamW(options), engineAdamW(options)];
    const expected = structuredClone(tensors(1));
    const state = host.init(expected);
    const session = await engine.compile(ours.graph);
    const held = { parameter: await engine.hold(tensors(1)), gradient: await engine.hold({}) };
    const zeros = (): Params =>
      Object.fromEntries(
        Object.entries(tensors(1)).map(([name, { shape, data }]) => [
          name,
          { dtype: "float32", shape, data: new Float32Array(data.length) },
        ]),
      );
    const states = await Promise.all(
      ours.states.map(async (name) => [name, await engine.hold(zeros())] as const),
    );
    for (let step = 0; step < 3; step++) {
      const grads = tensors(10 + step);
      let squares = 0;
      for (const { data } of Object.values(grads)) for (const x of data) squares += x * x;
      const norm = Math.sqrt(squares);
      const gradient = await engine.hold(grads);
      for (const name of ["matrix", "bias"]) {
        await session.sweep({
          names: [name],
          vectors: { ...held, gradient, ...Object.fromEntries(states) },
          rewrites: ours.rewrites,
          feeds: ours.feeds(step, norm, true, rateFactors(name)),
        });
      }
      host.update(grads, state, expected, step);
      applyUpdates(expected, grads);
    }
    const actual = await held.parameter.read();
    for (const [name, { data }] of Object.entries(expected))
      expect(relativeError(actual[name]!.data, data), name).toBeLessThan(2e-6);
  });
});

describe("fine-tuning of many parameters", () => {
  let folder: string;
  let backbone: Backbone;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ptuning-large-"));
    // The words that texts use come first: the others only make the table large.
    backbone = await loadBackbone(writeTinyBackbone(join(folder, "large"), 1, { vocab: 1 << 17 }), {
      engine: native,
    });
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });
  const options = (change: Partial<TrainOptions> = {}): TrainOptions =>
    tinyOptions(backbone, { method: fineTuning(), learningRate: 3e-3, epochs: 2, ...change });
  const losses = (events: Awaited<ReturnType<typeof eventsOf>>): number[] =>
    ofType(events, "step").map(({ loss }) => loss);

  test("learns, and micro-batches add up", async () => {
    const whole = await eventsOf(options({ epochs: 4 }));
    const mean = (part: number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
    expect(mean(losses(whole).slice(-4))).toBeLessThan(0.8 * mean(losses(whole).slice(0, 4)));
    const parts = await eventsOf(options({ microBatchSize: 3, hiddenDropout: 0, attentionDropout: 0 }));
    const once = await eventsOf(options({ hiddenDropout: 0, attentionDropout: 0 }));
    expect(relativeError(losses(parts), losses(once))).toBeLessThan(1e-3);
  });

  test("moves the head at a rate of its own", async () => {
    const adapterAt = async (headLearningRate: number) => {
      const events = await eventsOf(options({ epochs: 1, headLearningRate, refit: "never" }));
      return ofType(events, "done")[0]!.adapter.params;
    };
    const [still, slow] = [await adapterAt(1e-12), await adapterAt(1e-4)];
    const moved = (name: string): number => relativeError(slow[name]!.data, still[name]!.data);
    // 12 updates of at most the rate each, falling to 0.
    expect(moved("head.weight")).toBeGreaterThan(1e-4);
    expect(moved("head.weight")).toBeLessThan(1e-3);
    expect(Math.max(...still["head.bias"]!.data.map(Math.abs))).toBeLessThan(1e-10);
    expect(moved("backbone.encoder.layer.1.output.dense.bias")).toBeLessThan(1e-2);
  });

  test("goes on from a saved state as if it had never stopped", async () => {
    const whole = await eventsOf(options({ headLearningRate: 1e-2 }));
    const states = ofType(whole, "checkpoint").map(({ state }) => state);
    const resumed = await eventsOf(options({ headLearningRate: 1e-2, resume: states[0]! }));
    expect(losses(resumed)).toEqual(losses(whole).slice(states[0]!.step));
  });
});
