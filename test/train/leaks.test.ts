/** Whatever throws, breaks off or aborts leaves no session, no held tensor and no file open. */
import { readdirSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeEngine } from "ptuning/engine";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { baselineScores } from "ptuning/internal/baselines";
import { cacheFolder } from "ptuning/internal/files";
import { deepPrompt, fineTuning } from "ptuning/internal/methods";
import { createPredictor, embedTexts, zeroShot } from "ptuning/internal/predict";
import { findLearningRate, type TrainOptions, train } from "ptuning/internal/train";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Injected, watchedEngine } from "../../tools/watched-engine.mjs";
import {
  eventsOf,
  ofType,
  tinyData,
  tinyExamples,
  tinyFolder,
  tinyLmFolders,
  tinyOptions,
  writeTinyBackbone,
} from "../support/tiny.ts";

const { engine, watch } = watchedEngine(nodeEngine({ threads: 1 }));
let backbone: Backbone;
let masked: Backbone;
let large: Backbone;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ptuning-leaks-"));
  backbone = await loadBackbone(tinyFolder, { engine });
  masked = await loadBackbone(tinyLmFolders.bert, { engine });
  large = await loadBackbone(writeTinyBackbone(join(folder, "large"), 1, { vocab: 1 << 17 }), { engine });
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const openFiles = (): number => readdirSync("/proc/self/fd").length;
const trunkFiles = async (): Promise<string[]> =>
  (await readdir(cacheFolder()).catch((): string[] => [])).filter((name) => name.startsWith("trunk-"));

const data = { ...tinyData, train: tinyData.train.slice(0, 16), dev: tinyData.dev.slice(0, 8) };
/** Of many parameters a step takes long. */
const tiny = { ...data, train: data.train.slice(0, 2), dev: data.dev.slice(0, 1) };
const small = (change: Partial<TrainOptions> = {}): TrainOptions =>
  tinyOptions(backbone, { data, epochs: 1, ...change });
const drain = async (events: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of events);
};
const task = sequenceClassification({ labels: data.labels });

/** Everything that opens something, each given what may differ. */
const work: Readonly<Record<string, (signal?: AbortSignal) => Promise<unknown>>> = {
  "a run": (signal) => drain(train(small(signal && { signal }))),
  "a run in int8": (signal) => drain(train(small({ precision: "int8", ...(signal && { signal }) }))),
  "a run on a trunk in a file": (signal) => {
    const method = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
    return drain(train(small({ method, trunkCache: "file", ...(signal && { signal }) })));
  },
  "a run whose prompt starts from activations": (signal) => {
    const method = deepPrompt({ promptLength: 3, init: "activations" });
    return drain(train(small({ method, ...(signal && { signal }) })));
  },
  "a run with a network in front": (signal) => {
    const method = deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 8 });
    return drain(train(small({ method, ...(signal && { signal }) })));
  },
  "a run of many parameters": (signal) =>
    drain(
      train(
        tinyOptions(large, {
          data: tiny,
          epochs: 1,
          batchSize: 2,
          method: fineTuning(),
          ...(signal && { signal }),
        }),
      ),
    ),
  "a verbalizer": (signal) => {
    const verbalizer = sequenceClassification({
      labels: ["w1", "w2"],
      head: "verbalizer",
      template: "{text} {mask}",
      calibrate: true,
    } as never);
    return zeroShot(verbalizer, masked, signal ? { signal } : {});
  },
  "a range test": (signal) => drain(findLearningRate(small(signal && { signal }), { steps: 3 })),
  embeddings: (signal) =>
    embedTexts(
      data.train.map(({ text }) => text),
      backbone,
      signal,
    ),
  baselines: (signal) =>
    baselineScores(task, { ...data, test: data.dev }, backbone, signal ? { signal } : {}),
};

async function leftBy(run: () => Promise<unknown>): Promise<unknown> {
  const files = openFiles();
  const outcome = await run().then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(watch.open).toBe(0);
  expect(openFiles()).toBe(files);
  expect(await trunkFiles()).toEqual([]);
  return outcome;
}

/** Calls of the engine that something happens at: all while work is set up and at its end, some of the hundreds that fit a head. */
function places(calls: number): number[] {
  const [first, last, between] = [25, 5, 15];
  const all = Array.from({ length: calls }, (_, n) => n + 1);
  const every = Math.max(1, Math.ceil((calls - first - last) / between));
  return all.filter((n) => n <= first || n > calls - last || n % every === 0);
}

describe.each(Object.entries(work))("%s", (_, run) => {
  let calls = 0;
  beforeAll(async () => {
    // Once for what stays open in the library itself.
    await run();
    watch.reset();
    expect(await leftBy(run)).toBeUndefined();
    calls = watch.calls;
  });

  test("releases what it opened wherever the engine fails", async () => {
    expect(calls).toBeGreaterThan(1);
    for (const n of places(calls)) {
      watch.reset(n);
      expect(await leftBy(run), `call ${n} of ${calls}`).toBeInstanceOf(Injected);
    }
    watch.reset();
  });

  test("ends at any abort, and releases what it opened", async () => {
    for (const n of places(calls)) {
      const stopping = new AbortController();
      watch.reset(n, () => stopping.abort());
      const outcome = await leftBy(() => run(stopping.signal));
      // A run that has started ends by itself, anything else throws the reason, unless it was just done.
      if (outcome !== undefined) expect(outcome, `call ${n} of ${calls}`).toBe(stopping.signal.reason);
    }
    watch.reset();
  });

  test("does nothing where it is aborted before", async () => {
    watch.reset();
    const reason = new Error("not wanted");
    expect(await leftBy(() => run(AbortSignal.abort(reason)))).toBe(reason);
    expect(watch.calls).toBe(0);
  });
});

describe("a predictor", () => {
  test("is not made halfway, and answers on after an abort", async () => {
    const adapter = ofType(await eventsOf(small()), "done")[0]!.adapter;
    for (const n of [1, 2]) {
      watch.reset(n);
      expect(await leftBy(() => createPredictor(adapter, backbone))).toBeInstanceOf(Injected);
    }
    watch.reset();
    expect(
      await leftBy(async () => {
        await using predictor = await createPredictor(adapter, backbone);
        const examples = tinyExamples(200, 9);
        const expected = await predictor.predict(examples);
        for (const call of ["predict", "evaluate", "review"] as const) {
          const stopping = new AbortController();
          const { signal } = stopping;
          const reason = new Error("enough");
          let told = 0;
          const onProgress = (): void => {
            told++;
            stopping.abort(reason);
          };
          await expect(predictor[call](examples, { signal, onProgress })).rejects.toBe(reason);
          expect(told).toBe(1);
          await expect(predictor[call](examples, { signal })).rejects.toBe(reason);
        }
        expect(await predictor.predict(examples)).toEqual(expected);
      }),
    ).toBeUndefined();
  });
});

test.each(["start", "trunk", "step", "evaluation", "checkpoint", "done"])("break at %s", async (type) => {
  const method = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
  let seen = false;
  await leftBy(async () => {
    for await (const event of train(small({ method, trunkCache: "file" }))) {
      seen = event.type === type;
      if (seen) break;
    }
  });
  expect(seen).toBe(true);
});

test.each<[string, Partial<TrainOptions>]>([
  ["a memory limit that nothing fits", { trunkCache: "file", memoryLimit: 1e6 }],
  ["an unknown optimizer", { optimizer: "none" as never }],
  ["a prompt that leaves no room", { maxLength: 10_000 }],
  ["no training texts", { data: { ...data, train: [] } }],
])("a refusal leaves nothing: %s", async (_, change) => {
  const method = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
  for (let i = 0; i < 3; i++)
    expect(await leftBy(() => drain(train(small({ method, ...change }))))).toBeInstanceOf(Error);
});
