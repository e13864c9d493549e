import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dataset } from "ptuning/data";
import type { Backbone } from "ptuning/internal/backbones";
import { type Params, PtuningError } from "ptuning/internal/core";
import { deepPrompt } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import { readState, type TrainOptions, train, writeState } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyExamples, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-train-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const losses = (events: Awaited<ReturnType<typeof eventsOf>>): number[] =>
  ofType(events, "step").map(({ loss }) => loss);

describe("a run", () => {
  test("learns: loss falls, dev accuracy beats chance, the adapter keeps what dev saw", async () => {
    const events = await eventsOf(tinyOptions(backbone, { epochs: 12 }));
    const all = losses(events);
    expect(all).toHaveLength(12 * 12);
    const mean = (part: number[]): number => part.reduce((a, b) => a + b, 0) / part.length;
    expect(mean(all.slice(-12))).toBeLessThan(0.5 * mean(all.slice(0, 12)));
    const [done] = ofType(events, "done");
    expect(done!.best!.scores.accuracy).toBeGreaterThan(0.8);
    const predictor = await createPredictor(done!.adapter, backbone, { precision: "fp32" });
    const again = await predictor.evaluate(tinyData.dev);
    expect(again.scores).toEqual(done!.best!.scores);
    await predictor.close();
  });

  test("gives the same numbers again, bit for bit, and others with another seed", async () => {
    const [first, second, other] = [
      await eventsOf(tinyOptions(backbone)),
      await eventsOf(tinyOptions(backbone)),
      await eventsOf(tinyOptions(backbone, { seed: 6 })),
    ];
    expect(losses(second)).toEqual(losses(first));
    expect(losses(other)).not.toEqual(losses(first));
  });

  test("tells what it trains, and how many steps it takes", async () => {
    const [start] = ofType(await eventsOf(tinyOptions(backbone, { epochs: 1 })), "start");
    expect(start).toMatchObject({
      inventory: { trainable: { prompt: 2 * 2 * 3 * 32, head: 3 * 32 + 3 } },
      examples: { train: 96, dev: 48 },
      stepsPerEpoch: 12,
      totalSteps: 12,
      startStep: 0,
      settings: { batchSize: 8, precision: "fp32" },
    });
  });

  test("evaluates every n steps and at the end, and stops early", async () => {
    const events = await eventsOf(tinyOptions(backbone, { evaluateEvery: 5, epochs: 1 }));
    expect(ofType(events, "evaluation").map(({ step }) => step)).toEqual([5, 10, 12]);
    // A learning rate so small that nothing changes: the first evaluation stays the best.
    const patient = await eventsOf(tinyOptions(backbone, { learningRate: 1e-12, patience: 2, epochs: 9 }));
    expect(ofType(patient, "evaluation")).toHaveLength(3);
    expect(ofType(patient, "done")[0]).toMatchObject({ reason: "early", best: { step: 12 } });
  });

  test("selects by the score it is told, loss included", async () => {
    const events = await eventsOf(tinyOptions(backbone, { selectBy: "loss", epochs: 4, refit: "never" }));
    const evaluations = ofType(events, "evaluation");
    const lowest = Math.min(...evaluations.map(({ loss }) => loss));
    expect(ofType(events, "done")[0]!.best!.loss).toBe(lowest);
    await expect(eventsOf(tinyOptions(backbone, { selectBy: "accurracy", epochs: 1 }))).rejects.toThrow(
      /selectBy: expected one of accuracy, macroF1, matthews, loss, got "accurracy"/,
    );
  });

  test("works without a dev set: the last state is the result", async () => {
    const events = await eventsOf(
      tinyOptions(backbone, { data: { ...tinyData, dev: [] }, epochs: 1, refit: "never" }),
    );
    expect(ofType(events, "evaluation")).toEqual([]);
    expect(ofType(events, "done")[0]!.best).toBeUndefined();
  });

  test("stops after the current step when it is asked to, with a state", async () => {
    const stopping = new AbortController();
    const seen: string[] = [];
    for await (const event of train(tinyOptions(backbone, { signal: stopping.signal }))) {
      seen.push(event.type);
      if (event.type === "step" && event.step === 4) stopping.abort();
    }
    expect(seen.slice(-2)).toEqual(["checkpoint", "done"]);
    expect(seen.filter((type) => type === "step")).toHaveLength(4);
  });
});

describe("micro-batches", () => {
  test("1 × 8 equals 4 × 2 with texts of unequal length", async () => {
    const whole = losses(await eventsOf(tinyOptions(backbone, { hiddenDropout: 0, attentionDropout: 0 })));
    const parts = losses(
      await eventsOf(tinyOptions(backbone, { hiddenDropout: 0, attentionDropout: 0, microBatchSize: 2 })),
    );
    for (const [i, loss] of whole.entries()) expect(Math.abs(parts[i]! - loss)).toBeLessThan(1e-4);
  });

  test("class weights count over the whole effective batch", async () => {
    const task = sequenceClassification({
      labels: tinyData.labels,
      classWeights: { "class 0": 5, "class 1": 0.1 },
    }) as TrainOptions["task"];
    const none = { hiddenDropout: 0, attentionDropout: 0, task, epochs: 1 } as const;
    const whole = losses(await eventsOf(tinyOptions(backbone, none)));
    const parts = losses(await eventsOf(tinyOptions(backbone, { ...none, microBatchSize: 3 })));
    for (const [i, loss] of whole.entries()) expect(Math.abs(parts[i]! - loss)).toBeLessThan(1e-4);
  });
});

describe("resuming", () => {
  test.each(["none", "mlp"] as const)(
    "from every state gives the losses of a run never stopped (%s)",
    async (reparameterization) => {
      const options = tinyOptions(backbone, {
        method: deepPrompt({
          promptLength: 3,
          initScale: 0.5,
          reparameterization,
          prefixHiddenSize: 8,
          promptDropout: 0.2,
        }),
        evaluateEvery: 7,
        epochs: 2,
      });
      const whole = await eventsOf(options);
      const states = ofType(whole, "checkpoint").map(({ state }) => state);
      expect(states.map(({ step }) => step)).toEqual([7, 14, 21, 24]);
      for (const state of states) {
        const path = join(folder, "state.safetensors");
        await writeState(path, state);
        const rest = await eventsOf({ ...options, resume: await readState(path) });
        expect(losses(rest)).toEqual(losses(whole).slice(state.step));
        const [done, original] = [ofType(rest, "done")[0]!, ofType(whole, "done")[0]!];
        expect(done.adapter.params).toEqual(original.adapter.params);
        expect(done.best).toEqual(original.best);
      }
    },
  );

  test("from a saved state trains its MLP on (PEFT: saved prompts cannot be trained further)", async () => {
    const method = deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 8 });
    const options = tinyOptions(backbone, { method, evaluateEvery: 4, epochs: 1, learningRate: 1e-2 });
    const [state] = ofType(await eventsOf(options), "checkpoint").map((event) => event.state);
    expect(Object.keys(state!.params)).toContain("prompt.mlp.out.weight");
    const later = ofType(await eventsOf({ ...options, resume: state! }), "checkpoint").at(-1)!.state;
    expect(later.params["prompt.mlp.out.weight"]!.data).not.toEqual(
      state!.params["prompt.mlp.out.weight"]!.data,
    );
  });

  test("refuses a state of other settings or data", async () => {
    const [state] = ofType(await eventsOf(tinyOptions(backbone, { epochs: 1 })), "checkpoint").map(
      (e) => e.state,
    );
    const { train: rows, dev } = tinyData;
    const others: Partial<Dataset>[] = [
      { fingerprint: "sha256:other" },
      // Of the same files, as many rows: another order, another choice, another text.
      { train: [...rows].reverse() },
      { train: [rows[1]!, rows[0]!, ...rows.slice(2)] },
      { train: [dev[0]!, ...rows.slice(1)], dev: [rows[0]!, ...dev.slice(1)] },
      { train: [{ ...rows[0]!, text: `${rows[0]!.text} w3` }, ...rows.slice(1)] },
      { dev: [...dev].reverse() },
    ];
    const changes = others.map((other) => ({ data: { ...tinyData, ...other } }));
    for (const change of [{ learningRate: 1e-3 }, ...changes]) {
      await expect(
        eventsOf(tinyOptions(backbone, { epochs: 1, ...change, resume: state! })),
      ).rejects.toMatchObject({
        code: "RUN_INVALID",
      });
    }
  });

  test("a damaged state is named", async () => {
    const path = join(folder, "damaged.safetensors");
    await writeFile(path, "no state");
    await expect(readState(path)).rejects.toMatchObject({ code: "RUN_INVALID" });
  });
});

describe("known wounds", () => {
  test("the head moves in step 1 (PEFT 0.15 left it untrained)", async () => {
    const states = ofType(
      await eventsOf(tinyOptions(backbone, { evaluateEvery: 1, epochs: 1 })),
      "checkpoint",
    );
    const [first, second] = states.map(({ state }) => state.params as Params);
    for (const name of ["head.weight", "head.bias", "prompt.embeddings"]) {
      expect(second![name]!.data).not.toEqual(first![name]!.data);
    }
    expect(first!["head.bias"]!.data.some((value) => value !== 0)).toBe(true);
  });

  test("a learning rate far too high ends with the step, the rate and advice", async () => {
    const options = tinyOptions(backbone, { learningRate: 1e38, clipNorm: 1e38, schedule: "constant" });
    const error = await eventsOf(options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(PtuningError);
    expect(error).toMatchObject({
      code: "TRAINING_DIVERGED",
      hint: expect.stringContaining("learning rate"),
    });
    expect((error as PtuningError).message).toMatch(/step \d+: expected a finite loss.*learning rate 1e\+38/);
  });

  test("a model that predicts one class is reported as collapsed, with what to change", async () => {
    const examples = tinyExamples(64, 9);
    // Nothing to learn and one label far more frequent: the model can only answer that one.
    const skewed = examples.map(({ text }, i) => ({
      text: text.replace(/w[012]\b/, "w9"),
      label: `class ${i % 16 ? 0 : 1}`,
    }));
    const data = { ...tinyData, train: skewed, dev: skewed, labels: ["class 0", "class 1"] };
    const task = sequenceClassification({ labels: data.labels }) as TrainOptions["task"];
    const events = await eventsOf(tinyOptions(backbone, { data, task, learningRate: 1e-2, epochs: 2 }));
    const [warning] = ofType(events, "warning").filter(({ code }) => code === "collapsed");
    expect(warning!.message).toMatch(
      /one answer for every example.*learning rate.*reparameterization: none.*classWeights/,
    );
  });

  test("reparameterised prompts have a lower default learning rate", () => {
    expect(deepPrompt({ reparameterization: "mlp" }).defaults.learningRate).toBeLessThan(
      deepPrompt().defaults.learningRate / 2,
    );
  });

  test("texts that are cut are counted", async () => {
    const events = await eventsOf(tinyOptions(backbone, { maxLength: 5, epochs: 1 }));
    const [warning] = ofType(events, "warning");
    const long = tinyData.train.filter(({ text }) => text.split(" ").length > 3).length;
    expect(warning).toMatchObject({
      code: "truncated",
      message: expect.stringMatching(new RegExp(`^${long} training texts`)),
    });
  });
});

describe("options that make no sense", () => {
  test.each([
    [{ epochs: 0 }, "epochs: expected a whole number above 0, got 0."],
    [{ batchSize: 2.5 }, "batchSize: expected a whole number above 0, got 2.5."],
    [{ learningRate: -1 }, "learningRate: expected a number above 0, got -1."],
    [
      { warmupSteps: -1 },
      "warmupSteps: expected a whole number of updates of at least 0, or a share of them below 1, got -1.",
    ],
    [
      { warmupSteps: 1.5 },
      "warmupSteps: expected a whole number of updates of at least 0, or a share of them below 1, got 1.5.",
    ],
    [{ evaluateEvery: 0 }, 'evaluateEvery: expected "epoch" or a number of updates, got 0.'],
    [{ evaluateEvery: 1.5 }, 'evaluateEvery: expected "epoch" or a number of updates, got 1.5.'],
    [{ hiddenDropout: 1 }, "hiddenDropout: expected a rate from 0 to below 1, or checkpoint, got 1."],
    [{ learningRate: Number.NaN }, "learningRate: expected a number above 0, got NaN."],
    [{ maxLength: 1e9 }, "maxLength: expected at most 1000000, got 1000000000."],
    [{ patience: 0.5 }, "patience: expected a whole number of at least 0, got 0.5."],
    [
      { trunkCache: "disk" } as object,
      'trunkCache: expected one of "off"|"auto"|"memory"|"file", got "disk".',
    ],
    [
      { optimizer: "constructor" } as object,
      'optimizer: expected one of "adamw"|"adafactor", got "constructor".',
    ],
    [
      { schedule: "cosine" } as object,
      'schedule: expected one of "linear"|"constant"|"exponential", got "cosine".',
    ],
    [{ learningrate: 1e-3 } as object, 'train: expected known settings, got "learningrate".'],
  ] as const)("%j", async (change, message) => {
    await expect(eventsOf(tinyOptions(backbone, change))).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message,
    });
  });

  test("prompt and text beyond the position table: both are named", async () => {
    await expect(eventsOf(tinyOptions(backbone, { maxLength: 46 }))).rejects.toMatchObject({
      code: "SEQUENCE_TOO_LONG",
      message: expect.stringMatching(
        /46 tokens behind position offset 3 need 49 positions, tiny-bert has 48/,
      ),
    });
  });

  test("no training data", async () => {
    await expect(eventsOf(tinyOptions(backbone, { data: { ...tinyData, train: [] } }))).rejects.toMatchObject(
      {
        code: "DATA_INVALID",
      },
    );
  });
});

test("an int8 run says what fp32 weights give", async () => {
  const cache = join(folder, "cache");
  vi.stubEnv("PTUNING_CACHE", cache);
  onTestFinished(() => void vi.unstubAllEnvs());
  const events = await eventsOf(tinyOptions(backbone, { precision: "int8", epochs: 10 }));
  const [done] = ofType(events, "done");
  expect(done!.exact!.accuracy).toBeGreaterThan(0.7);
  expect(Math.abs(done!.exact!.accuracy! - done!.best!.scores.accuracy!)).toBeLessThan(0.2);
  expect((await readdir(join(cache, "quantized"))).length).toBe(1);
});

test("what fp32 weights give is left out where they do not fit, and the run says so", async () => {
  vi.stubEnv("PTUNING_CACHE", join(folder, "cache"));
  const free = vi.spyOn(process, "availableMemory").mockReturnValue(10_000);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    free.mockRestore();
  });
  const events = await eventsOf(tinyOptions(backbone, { precision: "int8", epochs: 1 }));
  expect(ofType(events, "done")[0]!.exact).toBeUndefined();
  const told = ofType(events, "warning").filter(({ code }) => code === "unverified");
  expect(told.map(({ message }) => message)).toEqual([
    "What rounding to int8 costs was not measured: the frozen weights take 0.0 GB in fp32, 0.0 GB of memory are free.",
  ]);
});
