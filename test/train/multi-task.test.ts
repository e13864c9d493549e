/** Several tasks on one prompt. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Dataset, TokenExample } from "ptuning/data";
import { loadAdapter, type MultiTaskAdapter, openAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { type Params, Rng } from "ptuning/internal/core";
import { bitfit, deepPrompt, fineTuning } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import {
  type MultiTaskOptions,
  mixTasks,
  type TrainEvent,
  type TrainOptions,
  train,
} from "ptuning/internal/train";
import { sequenceClassification, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { wordFamilies } from "../support/families.ts";
import {
  eventsOf,
  type KeptEvent,
  keepEvents,
  ofType,
  tinyBackbone,
  tinyData,
  tinyOptions,
  tinyRoberta,
} from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-multi-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const words = wordFamilies[0]!;
const tagged: Dataset<TokenExample> = {
  train: words.make(44, 1) as TokenExample[],
  dev: words.make(32, 2) as TokenExample[],
  test: [],
  labels: [],
  fingerprint: "sha256:tagged",
  warnings: [],
};

type Tasks = MultiTaskOptions["tasks"];

const tasks: Tasks = {
  texts: { task: tinyOptions(backbone!).task, data: tinyData },
  entities: {
    task: tokenClassification({ labels: ["B-X", "B-Y", "O"] }) as TrainOptions["task"],
    data: tagged,
  },
};

function options(change: Partial<MultiTaskOptions> = {}): MultiTaskOptions {
  const { task, data, ...shared } = tinyOptions(backbone);
  return { ...shared, tasks, ...change };
}

type Event = KeptEvent<MultiTaskAdapter>;

const eventsOfMany = (given: MultiTaskOptions): Promise<Event[]> => keepEvents(train(given));

const doneOf = async (given: MultiTaskOptions): Promise<MultiTaskAdapter> =>
  ofType(await eventsOfMany(given), "done")[0]!.adapter;

const heads = ["texts/head.weight", "entities/head.weight"] as const;

describe("a run of two tasks of different types", () => {
  let events: Event[];
  beforeAll(async () => {
    events = await eventsOfMany(options({ epochs: 10, refit: "never" }));
  }, 120_000);

  test("learns both, and keeps what the mean of their own scores says is best", async () => {
    const evaluations = ofType(events, "evaluation");
    const { adapter, best } = ofType(events, "done")[0]!;
    for (const { scores } of evaluations)
      expect(scores.mean).toBeCloseTo((scores["texts/accuracy"]! + scores["entities/f1"]!) / 2, 12);
    expect(best!.scores.mean).toBe(Math.max(...evaluations.map(({ scores }) => scores.mean!)));
    expect(best!.scores["texts/accuracy"]).toBeGreaterThan(0.7);
    expect(best!.scores["entities/f1"]).toBeGreaterThan(0.7);
    for (const [name, score, data] of [
      ["texts", "accuracy", tinyData],
      ["entities", "f1", tagged],
    ] as const) {
      const predictor = await createPredictor(adapter.head(name), backbone, { precision: "fp32" });
      const { scores } = await predictor.evaluate(data.dev);
      expect(scores[score]).toBe(best!.scores[`${name}/${score}`]);
      expect(adapter.heads[name]!.provenance.metrics!.dev).toEqual(scores);
      await predictor.close();
    }
  });

  test("says what it trains, and of which task each step is", () => {
    const [start] = ofType(events, "start");
    expect(start).toMatchObject({
      inventory: {
        trainable: { prompt: 2 * 2 * 3 * 32, "texts/head": 33 * 3, "entities/head": 33 * 3 },
      },
      examples: { train: 96 + 44, dev: 48 + 32 },
      tasks: {
        texts: { type: "text-classification", steps: 120, selectBy: "accuracy" },
        entities: { type: "token-classification", steps: 60, selectBy: "f1" },
      },
      stepsPerEpoch: 12 + 6,
      settings: { selectBy: "mean" },
    });
    // In proportion to their batches, in every epoch, and not in turns.
    const steps = ofType(events, "step");
    for (let epoch = 1; epoch <= 10; epoch++) {
      const own = steps.filter((step) => step.epoch === epoch).map(({ task }) => task);
      expect(own.filter((task) => task === "entities")).toHaveLength(6);
      expect(own).toHaveLength(18);
    }
  });

  test("is saved as one folder, whose heads load by name", async () => {
    const { adapter } = ofType(events, "done")[0]!;
    const path = join(folder, "many");
    await adapter.save(path);
    const again = (await openAdapter(path)) as MultiTaskAdapter;
    expect(again.shared).toEqual(adapter.shared);
    expect(Object.keys(again.heads)).toEqual(["texts", "entities"]);
    for (const name of ["texts", "entities"]) {
      expect((await loadAdapter(path, { head: name })).params).toEqual(adapter.head(name).params);
    }
    await expect(loadAdapter(path)).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: "head: expected one of texts, entities, got none.",
    });
    await expect(loadAdapter(path, { head: "entity" })).rejects.toThrow(
      'head: expected one of texts, entities, got "entity".',
    );
    const sidecar = JSON.parse(await readFile(join(path, "ptuning.json"), "utf8"));
    expect(sidecar.heads.entities).toMatchObject({ task: { type: "token-classification" } });
    expect(await readFile(join(path, "README.md"), "utf8")).toMatch(
      /\| entities \| token-classification \| 99 \| dev \| f1 \| \d\.\d{4} \|/,
    );
  });

  test("splits into ordinary adapters that PEFT may load", async () => {
    const { adapter } = ofType(events, "done")[0]!;
    await adapter.split(join(folder, "split"));
    const [texts, entities] = await Promise.all(
      ["texts", "entities"].map((name) => loadAdapter(join(folder, "split", name))),
    );
    expect(entities!.params).toEqual(adapter.head("entities").params);
    expect(texts!.params["prompt.embeddings"]).toEqual(entities!.params["prompt.embeddings"]);
    const peft = JSON.parse(await readFile(join(folder, "split/entities/adapter_config.json"), "utf8"));
    expect(peft).toMatchObject({ peft_type: "PREFIX_TUNING", task_type: "TOKEN_CLS" });
    await expect(loadAdapter(join(folder, "split/texts"), { head: "texts" })).rejects.toThrow(
      'head: expected none, got "texts".',
    );
  });

  test("starts a run of one of its tasks, which trains on alone", async () => {
    const { adapter } = ofType(events, "done")[0]!;
    const start = { from: adapter, head: "keep", task: "texts" } as const;
    const alone = await eventsOf(
      tinyOptions(backbone, { start, refit: "never", learningRate: 1e-30, epochs: 1 }),
    );
    const { best } = alone.find(({ type }) => type === "done") as Extract<TrainEvent, { type: "done" }>;
    expect(best!.scores.accuracy).toBe(ofType(events, "done")[0]!.best!.scores["texts/accuracy"]);
    for (const given of [{ from: adapter, head: "keep" } as const, { ...start, task: "text" }]) {
      await expect(eventsOf(tinyOptions(backbone, { start: given }))).rejects.toThrow(
        /start.head: expected .*got the heads texts, entities\./,
      );
    }
    const again = { from: adapter, head: "freeze" } as const;
    const frozen = await doneOf(options({ start: again, epochs: 1 }));
    for (const name of ["texts", "entities"])
      expect(frozen.heads[name]!.params).toEqual(adapter.heads[name]!.params);
    expect(frozen.shared).not.toEqual(adapter.shared);
  });
});

describe("a head that is absent from a batch", () => {
  const states = async (change: Partial<MultiTaskOptions>): Promise<[string, Params, Params][]> => {
    const events = await eventsOfMany(options({ epochs: 1, evaluateEvery: 1, ...change }));
    const steps = ofType(events, "step");
    return ofType(events, "checkpoint").map(({ state }, i) => [
      steps[i]!.task!,
      state.params,
      state.optimizer,
    ]);
  };

  test.each(["adamw", "adafactor"] as const)(
    "gets no step of %s: no decay, no moments",
    async (optimizer) => {
      const all = await states({ optimizer, weightDecay: 0.1, learningRate: 1e-2 });
      for (const [i, [task, params, moments]] of all.entries()) {
        if (i === 0) continue;
        const [, before, momentsBefore] = all[i - 1]!;
        for (const head of heads) {
          const isOwn = head.startsWith(task);
          expect(params[head]!.data.every((value, j) => value === before[head]!.data[j])).toBe(!isOwn);
          for (const name of Object.keys(moments).filter((key) => key.endsWith(head)))
            expect(moments[name]!.data.every((v, j) => v === momentsBefore[name]!.data[j])).toBe(!isOwn);
        }
        expect(params["prompt.embeddings"]).not.toEqual(before["prompt.embeddings"]);
      }
    },
  );

  const few: Tasks = Object.fromEntries(
    Object.entries(tasks).map(([name, one]) => [
      name,
      { ...one, data: { ...one.data, train: one.data.train.slice(0, 16), dev: one.data.dev.slice(0, 4) } },
    ]),
  );

  test.each([
    ["on the host", {}],
    // Over four million numbers, which stay with the engine.
    ["in the engine", { prefixHiddenSize: 26_500, reparameterization: "mlp" }],
  ] as const)(
    "counts its own steps only, %s: its first update is as long as the learning rate",
    async (_, prompt) => {
      // m̂/√v̂ is ±1 at a tensor's own first step, whatever came before it elsewhere.
      const rate = 1e-2;
      const method = deepPrompt({ promptLength: 3, initScale: 0.1, ...prompt });
      const change = { method, tasks: few, schedule: "constant", learningRate: rate, clipNorm: 1e9 } as const;
      const all = await states(change);
      expect(all).toHaveLength(4);
      const [, start] = all[0]!;
      for (const head of heads) {
        const first = all.findIndex(([task]) => head.startsWith(task));
        if (first === 0) continue;
        expect(first).toBeGreaterThan(0);
        const [, after] = all[first]!;
        for (const [j, value] of after[head]!.data.entries())
          expect(Math.abs(Math.abs(value - start[head]!.data[j]!) - rate)).toBeLessThan(1e-2 * rate);
      }
    },
    120_000,
  );
});

describe("resuming", () => {
  test.each(["proportional", "round-robin", { temperature: 4 }] as const)(
    "a run with sampling %j from every state gives the same to the bit",
    async (sampling) => {
      const given = options({ sampling, epochs: 2, evaluateEvery: 11 });
      const whole = await eventsOfMany(given);
      const losses = (events: readonly Event[]): unknown[] =>
        ofType(events, "step").map(({ loss, task }) => [task, loss]);
      const states = ofType(whole, "checkpoint").map(({ state }) => state);
      expect(states.map(({ step }) => step)).toEqual([11, 22, 33, 36]);
      for (const state of states) {
        const rest = await eventsOfMany({ ...given, resume: state });
        expect(losses(rest)).toEqual(losses(whole).slice(state.step));
        const [done, original] = [ofType(rest, "done")[0]!, ofType(whole, "done")[0]!];
        expect(done.adapter.shared).toEqual(original.adapter.shared);
        expect(done.adapter.head("texts").params).toEqual(original.adapter.head("texts").params);
        expect(done.best).toEqual(original.best);
      }
      await expect(
        eventsOfMany({
          ...given,
          tasks: { ...tasks, texts: { ...tasks.texts!, selectBy: "macroF1" } },
          resume: states[0]!,
        }),
      ).rejects.toMatchObject({ code: "RUN_INVALID" });
    },
  );
});

describe("what fits in and what does not", () => {
  test("a network that makes the prompt is folded once for all heads", async () => {
    const method = deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 8 });
    const adapter = await doneOf(options({ method, epochs: 1 }));
    expect(Object.keys(adapter.shared)).toEqual(["prompt.embeddings"]);
    expect(Object.keys(adapter.heads.texts!.params)).toEqual(["head.weight", "head.bias"]);
  });

  test("a bias that one task alone reads is saved with its head", async () => {
    const pooled = sequenceClassification({ labels: tinyData.labels, pooling: "pooler" });
    const given = { ...tasks, texts: { ...tasks.texts!, task: pooled as TrainOptions["task"] } };
    const adapter = await doneOf(options({ method: bitfit(), tasks: given, epochs: 1 }));
    expect(Object.keys(adapter.shared)).not.toContain("backbone.pooler.dense.bias");
    expect(Object.keys(adapter.heads.texts!.params)).toContain("backbone.pooler.dense.bias");
    await adapter.save(join(folder, "bitfit"));
    for (const name of ["texts", "entities"]) {
      const head = await loadAdapter(join(folder, "bitfit"), { head: name });
      await (await createPredictor(head, backbone, { precision: "fp32" })).close();
    }
  });

  test("a pooler that the checkpoint lacks goes with the head that reads it", async () => {
    const roberta = await tinyRoberta();
    const pooled = sequenceClassification({ labels: tinyData.labels, pooling: "pooler" });
    const given = { ...tasks, texts: { ...tasks.texts!, task: pooled as TrainOptions["task"] } };
    const adapter = await doneOf(options({ backbone: roberta, tasks: given, epochs: 1 }));
    expect(Object.keys(adapter.heads.texts!.frozen!)).toEqual(["pooler.dense.weight", "pooler.dense.bias"]);
    expect(adapter.heads.entities!.frozen).toEqual({});
    await (await createPredictor(adapter.head("entities"), roberta, { precision: "fp32" })).close();
    await roberta.close();
  });

  test.each([
    [{ method: fineTuning() }, /method: expected one that is saved as an adapter for several tasks/],
    [{ tasks: { "a/b": tasks.texts! } }, /tasks: expected names of letters, digits, - and _, got "a\/b"/],
    [{ tasks: { a: { ...tasks.texts!, weight: 0 } } }, /tasks.a.weight: expected a number above 0, got 0/],
    [{ tasks: { a: { ...tasks.texts!, selectBy: "f2" } } }, /tasks.a.selectBy: expected one of accuracy,/],
    [{ tasks: {} }, /tasks: expected at least one, got none/],
    [{ sampling: { temperature: 0 } }, /sampling: expected proportional, round-robin or a temperature/],
    [{ selectBy: "accuracy" }, /selectBy: expected one of mean, texts\/accuracy, .*entities\/f1, .*loss/],
  ] as const)("%#", async (change, message) => {
    await expect(eventsOfMany(options(change))).rejects.toThrow(message);
  });
});

describe("shares of the updates", () => {
  test("are whole, none is zero, and add up to one pass over all data", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0.3, max: 20, noNaN: true }),
        fc.integer({ min: 0, max: 3 }),
        (batches, temperature, epoch) => {
          const mix = mixTasks(
            batches,
            { temperature },
            batches.map(() => 1),
            new Rng(1),
          );
          const steps = batches.reduce((a, b) => a + b, 0);
          expect(mix.stepsPerEpoch).toBe(steps);
          const [from, to] = [mix.at(epoch * steps).done, mix.at((epoch + 1) * steps).done];
          const counts = to.map((count, i) => count - from[i]!);
          expect(Math.min(...counts)).toBeGreaterThan(0);
          expect(counts.reduce((a, b) => a + b, 0)).toBe(steps);
          // Each step is of the task whose count it raises.
          const at = epoch * steps + (epoch % steps);
          const { task, done } = mix.at(at);
          expect(mix.at(at + 1).done).toEqual(done.map((count, i) => count + (i === task ? 1 : 0)));
        },
      ),
    );
  });

  test("follow size, its root, weights or turns", () => {
    const counts = (sampling: Parameters<typeof mixTasks>[1], weights = [1, 1]): readonly number[] =>
      mixTasks([90, 10], sampling, weights, new Rng(1)).at(100).done;
    expect(counts("proportional")).toEqual([90, 10]);
    expect(counts({ temperature: 2 })).toEqual([75, 25]);
    expect(counts("proportional", [1, 9])).toEqual([50, 50]);
    expect(counts("round-robin")).toEqual([50, 50]);
    const turns = mixTasks([90, 10, 5], "round-robin", [1, 1, 1], new Rng(1));
    expect(Array.from({ length: 7 }, (_, step) => turns.at(step).task)).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(turns.at(7).done).toEqual([3, 2, 2]);
  });
});
