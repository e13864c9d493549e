/** Runs that start from what another run left. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import type { Params } from "ptuning/internal/core";
import { bitfit, deepPrompt, linearProbe, promptTuning, pTuning } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import { readState, type TrainingState, type TrainOptions, writeState } from "ptuning/internal/train";
import { sequenceClassification, textRegression } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions, tinyRoberta } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
/** An adapter of three prompt positions, as a user loads it. */
let saved: Adapter;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-start-"));
  saved = await reloaded(await adapterOf({ epochs: 4 }));
}, 120_000);
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

async function adapterOf(change: Partial<TrainOptions>): Promise<Adapter> {
  return ofType(await eventsOf(tinyOptions(backbone, change)), "done")[0]!.adapter;
}

async function reloaded(adapter: Adapter): Promise<Adapter> {
  await adapter.save(join(folder, "adapter"));
  return loadAdapter(join(folder, "adapter"));
}

/** A run whose updates are too small to change a number: it ends with what it started from. */
const still = (change: Partial<TrainOptions>): Promise<Adapter> =>
  adapterOf({ learningRate: 1e-30, epochs: 1, refit: "never", ...change });

const stateOf = async (change: Partial<TrainOptions>): Promise<TrainingState> => {
  const { state } = ofType(await eventsOf(tinyOptions(backbone, change)), "checkpoint").at(-1)!;
  await writeState(join(folder, "state.safetensors"), state);
  return readState(join(folder, "state.safetensors"));
};

const refusal = (change: Partial<TrainOptions>): Promise<string> =>
  still(change).then(
    () => "accepted",
    (error: { code: string; message: string; hint: string }) =>
      `${error.code} ${error.message} ${error.hint}`,
  );

const rows = ({ data }: Params[string], width: number): number[][] =>
  Array.from({ length: data.length / width }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);

describe("a prompt", () => {
  const prompt = "prompt.embeddings";
  const width = 2 * 2 * 32;

  test.each([
    [3, [0, 1, 2]],
    [2, [0, 1]],
    [5, [0, 1, 2, 0, 1]],
    [7, [0, 1, 2, 0, 1, 2, 0]],
  ])("of 3 positions starts one of %i by tiling or cutting", async (promptLength, taken) => {
    const started = await still({ method: deepPrompt({ promptLength }), start: { from: saved } });
    const all = rows(saved.params[prompt]!, width);
    expect(rows(started.params[prompt]!, width)).toEqual(taken.map((row) => all[row]));
    // The head is a new one, as in a run that starts at random.
    const fresh = await still({ method: deepPrompt({ promptLength }) });
    expect(started.params["head.weight"]).toEqual(fresh.params["head.weight"]);
    expect(started.params["head.weight"]).not.toEqual(saved.params["head.weight"]);
  });

  test("goes to another task, where it trains on", async () => {
    const data = { ...tinyData, labels: [] };
    const scored = data.train.map(({ text }, i) => ({ text, score: i % 2 }));
    const task = textRegression({ center: 0.5 }) as TrainOptions["task"];
    const change = { task, data: { ...data, train: scored, dev: [] }, start: { from: saved }, epochs: 1 };
    const adapter = await adapterOf(change);
    expect(adapter.params["head.weight"]!.shape).toEqual([1, 32]);
    expect(adapter.params[prompt]).not.toEqual(saved.params[prompt]);
  });

  test("in front of the text, and biases, start from their like", async () => {
    for (const method of [promptTuning({ promptLength: 2 }), bitfit()]) {
      const from = await adapterOf({ method, epochs: 1 });
      const started = await still({ method, start: { from } });
      const own = Object.entries(from.params).filter(([name]) => !name.startsWith("head."));
      expect(own.length).toBeGreaterThan(0);
      for (const [name, tensor] of own) expect(started.params[name]).toEqual(tensor);
    }
  });

  test("of another backbone, other layers or another method is refused", async () => {
    const { backbone: reference } = saved;
    const foreign = await reloaded(saved);
    Object.assign(foreign, { backbone: { ...reference, fingerprint: "sha256:other" } });
    expect(await refusal({ start: { from: foreign } })).toMatch(
      /ADAPTER_INCOMPATIBLE .*fingerprint sha256:other/,
    );
    const first = await adapterOf({
      method: deepPrompt({ promptLength: 3, promptLayers: { first: 1 } }),
      epochs: 1,
    });
    const last = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
    expect(await refusal({ method: last, start: { from: first } })).toMatch(
      /OPTION_INVALID start.from: expected prompts on layers 1, got 0\./,
    );
    expect(await refusal({ start: { from: first } })).toMatch(/prompts on layers 0, 1, got 0\./);
    expect(await refusal({ method: promptTuning(), start: { from: saved } })).toMatch(
      /start.from: expected an adapter of prompt-tuning, got one of p-tuning-v2/,
    );
  });
});

describe("a prompt that a network makes", () => {
  const mlp = deepPrompt({
    promptLength: 3,
    initScale: 0.5,
    reparameterization: "mlp",
    prefixHiddenSize: 8,
  });
  const network = deepPrompt({ promptLength: 5, reparameterization: "mlp", prefixHiddenSize: 8 });

  test("cannot be regained from a folded one", async () => {
    const message = await refusal({ method: mlp, start: { from: saved } });
    expect(message).toMatch(
      /OPTION_INVALID start.from: expected the network that makes the prompt of p-tuning-v2, got a prompt that has none: it was folded away/,
    );
    expect(message).toMatch(/reparameterization: none.*training state/);
    const vectors = await adapterOf({ method: promptTuning({ promptLength: 2 }), epochs: 1 });
    expect(await refusal({ method: pTuning({ promptLength: 2 }), start: { from: vectors } })).toMatch(
      /expected the network that makes the prompt of p-tuning,/,
    );
  });

  test("starts from a training state with its network, and flat from what the network makes", async () => {
    const options = { method: mlp, epochs: 1, learningRate: 1e-2 };
    const state = await stateOf(options);
    const folded = ofType(await eventsOf(tinyOptions(backbone, options)), "done")[0]!.adapter;
    const { params } = await stateOf({
      method: network,
      start: { from: state },
      learningRate: 1e-30,
      epochs: 1,
    });
    const made = state.best!.params;
    expect(params["prompt.mlp.out.weight"]).toEqual(made["prompt.mlp.out.weight"]);
    expect(rows(params["prompt.mlp.embeddings"]!, 32)).toEqual(
      [0, 1, 2, 0, 1].map((row) => rows(made["prompt.mlp.embeddings"]!, 32)[row]),
    );
    const flat = await still({ start: { from: state } });
    expect(flat.params["prompt.embeddings"]).toEqual(folded.params["prompt.embeddings"]);
    const wider = deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 9 });
    expect(await refusal({ method: wider, start: { from: state } })).toMatch(
      /a tensor "prompt.mlp.in.weight" of \[9,32\], got \[8,32\]/,
    );
  });
});

describe("a head", () => {
  test("that is kept answers as before, and trains on", async () => {
    const start = { from: saved, head: "keep" } as const;
    const before = await createPredictor(saved, backbone, { precision: "fp32" });
    const { scores } = await before.evaluate(tinyData.dev);
    await before.close();
    const [first] = ofType(
      await eventsOf(tinyOptions(backbone, { start, learningRate: 1e-30, epochs: 1 })),
      "evaluation",
    );
    expect(first!.scores).toEqual(scores);
    const moved = await adapterOf({ start, epochs: 1 });
    expect(moved.params["head.weight"]).not.toEqual(saved.params["head.weight"]);
  });

  test("that is frozen stays to the bit, is not counted as trained, and resumes", async () => {
    const options = tinyOptions(backbone, {
      start: { from: saved, head: "freeze" },
      epochs: 2,
      evaluateEvery: 7,
    });
    const events = await eventsOf(options);
    const [start] = ofType(events, "start");
    expect(start!.inventory.trainable).toEqual({ prompt: 2 * 2 * 3 * 32 });
    const { adapter, best } = ofType(events, "done")[0]!;
    for (const name of ["head.weight", "head.bias"]) expect(adapter.params[name]).toEqual(saved.params[name]);
    expect(adapter.params["prompt.embeddings"]).not.toEqual(saved.params["prompt.embeddings"]);
    const predictor = await createPredictor(await reloaded(adapter), backbone, { precision: "fp32" });
    expect((await predictor.evaluate(tinyData.dev)).scores).toEqual(best!.scores);
    await predictor.close();
    const { state } = ofType(events, "checkpoint")[0]!;
    const rest = await eventsOf({ ...options, resume: state });
    expect(ofType(rest, "done")[0]!.adapter.params).toEqual(adapter.params);
    await expect(
      eventsOf({ ...options, start: { from: saved, head: "keep" }, resume: state }),
    ).rejects.toMatchObject({ code: "RUN_INVALID" });
  });

  test("brings the random pooler that it was trained on", async () => {
    const roberta = await tinyRoberta();
    const task = sequenceClassification({
      labels: tinyData.labels,
      pooling: "pooler",
    }) as TrainOptions["task"];
    const base = tinyOptions(roberta, { task, epochs: 1 });
    const from = ofType(await eventsOf(base), "done")[0]!.adapter;
    const change = { ...base, start: { from, head: "keep" }, seed: 9 } as const;
    const { adapter } = ofType(await eventsOf(change), "done")[0]!;
    expect(Object.keys(from.frozen)).toEqual(["pooler.dense.weight", "pooler.dense.bias"]);
    expect(adapter.frozen).toEqual(from.frozen);
    await roberta.close();
  });

  test("of other labels, another kind, or with nothing left to train is refused with the reason", async () => {
    const other = (options: object): TrainOptions["task"] =>
      sequenceClassification({ labels: tinyData.labels, ...options }) as TrainOptions["task"];
    const keep = { from: saved, head: "keep" } as const;
    const labels = ["class 0", "class 1", "class 2", "class 3"];
    expect(await refusal({ task: other({ labels }), start: keep })).toMatch(
      /start.head: expected a saved head for the labels class 0, class 1, class 2, class 3, got class 0, class 1, class 2\./,
    );
    expect(await refusal({ task: other({ pooling: "cls" }), start: keep })).toMatch(
      /start.head: expected a saved head of the kind sequence \{"pooling":"cls"\}, got sequence \{"pooling":"mean"\}/,
    );
    for (const head of ["new", "freeze"] as const) {
      expect(await refusal({ method: linearProbe(), start: { from: saved, head } })).toMatch(
        /start.head: expected .*keep.*, as linear-probe trains nothing but the head/,
      );
    }
    expect(await refusal({ method: linearProbe(), start: keep })).toBe("accepted");
  });
});
