/** Heads that are fitted again at the end of a run. */
import type { Dataset } from "ptuning/data";
import { type Engine, nodeEngine } from "ptuning/engine";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { bitfit, deepPrompt, fineTuning, lora } from "ptuning/internal/methods";
import { createPredictor } from "ptuning/internal/predict";
import { type MultiTaskOptions, type TrainOptions, train } from "ptuning/internal/train";
import { familyOf, sequenceClassification, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { textFamilies, wordFamilies } from "../support/families.ts";
import {
  eventsOf,
  type KeptEvent,
  keepEvents,
  ofType,
  tinyBackbone,
  tinyData,
  tinyExamples,
  tinyFolder,
  tinyOptions,
} from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

/** A head that had too little time. */
const hasty = { epochs: 4, headLearningRate: 1e-4 } as const;

/** The only fit of a run, and how it ended. */
function outcome(events: readonly KeptEvent[]) {
  const [refit, ...others] = ofType(events, "refit");
  expect(others).toEqual([]);
  const { trained, fitted } = refit!;
  return { refit: { ...refit!, trained: trained!, fitted: fitted! }, done: ofType(events, "done")[0]! };
}

/** Whether the saved adapter is the one that the run speaks of. */
async function expectHonest(events: readonly KeptEvent[], dev: readonly unknown[]): Promise<void> {
  const { refit, done } = outcome(events);
  const kept = refit.taken ? refit.fitted : refit.trained;
  expect(done.best).toMatchObject(kept);
  const predictor = await createPredictor(done.adapter, backbone, { precision: "fp32" });
  const { truncated, ...evaluation } = await predictor.evaluate(dev);
  await predictor.close();
  expect(evaluation).toEqual({ ...kept, tuned: evaluation.tuned, remarks: evaluation.remarks });
  expect(done.adapter.provenance.metrics!.dev).toEqual(kept.scores);
  const { rows, strength } = refit;
  expect(done.adapter.provenance.training!.refit).toEqual(refit.taken ? { rows, strength } : undefined);
}

describe("the head of a run", () => {
  test("that had too little time is fitted, and the adapter is what dev saw", async () => {
    const events = await eventsOf(tinyOptions(backbone, hasty));
    const { refit, done } = outcome(events);
    expect(refit).toMatchObject({ rows: 96, features: 32, selectBy: "accuracy", taken: true });
    expect(refit.fitted.scores.accuracy).toBeGreaterThan(refit.trained.scores.accuracy!);
    await expectHonest(events, tinyData.dev);
    // The prompt is the one that was kept.
    const [never] = ofType(await eventsOf(tinyOptions(backbone, { ...hasty, refit: "never" })), "done");
    expect(done.adapter.params["prompt.embeddings"]).toEqual(never!.adapter.params["prompt.embeddings"]);
    expect(never!.best).toMatchObject(refit.trained);
    expect(never!.best!.step).toBe(done.best!.step);
  });

  test("is kept where dev likes it better", async () => {
    // Dev has the labels the other way round: what is fitted better to train is worse there.
    const turned = tinyData.dev.map((example, i) => ({
      ...example,
      label: tinyData.dev[(i * 7 + 3) % 48]!.label,
    }));
    let kept = 0;
    for (const seed of [5, 6, 7]) {
      const events = await eventsOf(
        tinyOptions(backbone, { ...hasty, seed, data: { ...tinyData, dev: turned } as Dataset }),
      );
      await expectHonest(events, turned);
      const { refit } = outcome(events);
      const [fitted, trained] = [refit.fitted.scores.accuracy!, refit.trained.scores.accuracy!];
      const expected = fitted > trained || (fitted === trained && refit.fitted.loss <= refit.trained.loss);
      expect(refit.taken).toBe(expected);
      if (!refit.taken) kept++;
    }
    expect(kept).toBeGreaterThan(0);
  }, 60_000);

  test.each([
    ["refit: never", { refit: "never" }],
    [
      "a preset",
      { task: sequenceClassification({ labels: tinyData.labels, preset: "peft" }) as TrainOptions["task"] },
    ],
    ["many rows and no dev set", { data: { ...tinyData, train: tinyExamples(500, 1), dev: [] } }],
  ] as const)("is left alone with %s", async (_, change) => {
    const events = await eventsOf(
      tinyOptions(backbone, { ...hasty, epochs: 1, ...(change as Partial<TrainOptions>) }),
    );
    expect(ofType(events, "refit")).toEqual([]);
    expect(ofType(events, "done")[0]!.adapter.provenance.training!.refit).toBeUndefined();
  });

  test("is fitted by the loss where that decides, and a wrong setting is refused", async () => {
    const { refit, done } = outcome(await eventsOf(tinyOptions(backbone, { ...hasty, selectBy: "loss" })));
    expect(refit).toMatchObject({ selectBy: "loss", taken: refit.fitted.loss <= refit.trained.loss });
    expect(done.best!.loss).toBe(Math.min(refit.fitted.loss, refit.trained.loss));
    await expect(eventsOf(tinyOptions(backbone, { refit: "always" as "auto" }))).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: `refit: expected auto or never, got "always".`,
    });
  });
});

describe.each([
  [
    "prompts over a trunk",
    { method: deepPrompt({ promptLength: 3, promptLayers: { last: 1 } }), trunkCache: "memory" },
  ],
  ["an MLP", { method: deepPrompt({ promptLength: 3, reparameterization: "mlp", prefixHiddenSize: 8 }) }],
  ["lora", { method: lora({ rank: 2 }) }],
  ["bitfit", { method: bitfit() }],
  ["fine-tuning", { method: fineTuning(), learningRate: 1e-3 }],
  [
    "the pooler",
    { task: sequenceClassification({ labels: tinyData.labels, pooling: "pooler" }) as TrainOptions["task"] },
  ],
] as const)("beside %s", (_, change) => {
  test("the saved adapter is what dev saw", async () => {
    const events = await eventsOf(tinyOptions(backbone, { ...hasty, ...(change as Partial<TrainOptions>) }));
    const { refit } = outcome(events);
    expect(refit.fitted.loss).toBeLessThan(1.1);
    await expectHonest(events, tinyData.dev);
  });
});

test.each(
  textFamilies
    .filter(({ type }) => ["multi-label", "regression", "multiple-choice"].includes(type))
    .map((one) => [one.type, one] as const),
)("%s: the task's own loss is what is minimised", async (type, { make, settings }) => {
  const labels = type === "multi-label" ? ["a", "b", "c"] : [];
  const data = {
    ...tinyData,
    train: make(120, 1),
    dev: make(60, 2),
    test: [],
    labels,
  } as unknown as Dataset<unknown>;
  const family = familyOf(type);
  const task = family.create(family.resolve({ ...settings }, data)) as TrainOptions["task"];
  const events = await eventsOf(tinyOptions(backbone, { ...hasty, data, task } as Partial<TrainOptions>));
  const { refit } = outcome(events);
  expect(refit.taken).toBe(true);
  expect(refit.fitted.loss).toBeLessThan(refit.trained.loss);
  await expectHonest(events, data.dev);
});

test("of several tasks each head on whole texts is fitted, by its own score", async () => {
  const words = wordFamilies[0]!;
  const tagged = { ...tinyData, train: words.make(44, 1), dev: words.make(32, 2), test: [], labels: [] };
  const { task, data, ...shared } = tinyOptions(backbone, { ...hasty, selectBy: undefined as never });
  const halves = { task, data } as MultiTaskOptions["tasks"][string];
  const options: MultiTaskOptions = {
    ...shared,
    tasks: {
      texts: halves,
      others: { ...halves, selectBy: "macroF1" },
      entities: {
        task: tokenClassification({ labels: ["B-X", "B-Y", "O"] }) as TrainOptions["task"],
        data: tagged as never,
      },
    },
  };
  const events = await keepEvents(train(options));
  const refits = ofType(events, "refit");
  expect(refits.map((event) => [event.task, event.selectBy])).toEqual([
    ["texts", "accuracy"],
    ["others", "macroF1"],
  ]);
  const { adapter, best } = ofType(events, "done")[0]!;
  for (const { task: name, taken, fitted, trained } of refits) {
    const { scores } = (taken ? fitted : trained)!;
    const predictor = await createPredictor(adapter.head(name!), backbone, { precision: "fp32" });
    const evaluation = await predictor.evaluate(tinyData.dev);
    await predictor.close();
    expect(evaluation.scores).toEqual(scores);
    expect(best!.scores[`${name}/accuracy`]).toBe(scores.accuracy);
    expect(adapter.heads[name!]!.provenance.training!.refit !== undefined).toBe(taken);
  }
  expect(refits.some(({ taken }) => taken)).toBe(true);
  const { scores } = best!;
  const mean = (scores["texts/accuracy"]! + scores["others/macroF1"]! + scores["entities/f1"]!) / 3;
  expect(scores.mean).toBeCloseTo(mean, 12);
}, 60_000);

test.each(["features", "readout"])(
  "a run that is stopped in the graph of %s is resumed to the same",
  async (name) => {
    const options = tinyOptions(backbone, hasty);
    const whole = outcome(await eventsOf(options));
    const stopping = new AbortController();
    const engine = stoppingAt(nodeEngine({ threads: 1 }), name, stopping);
    const stopped = await loadBackbone(tinyFolder, { engine });
    const events = await eventsOf({ ...options, backbone: stopped, signal: stopping.signal });
    await stopped.close();
    expect(stopping.signal.aborted).toBe(true);
    expect(ofType(events, "refit")).toEqual([]);
    expect(ofType(events, "done")[0]).toMatchObject({ reason: "aborted", step: 48 });
    const resume = ofType(events, "checkpoint").at(-1)!.state;
    const rest = await eventsOf({ ...options, resume });
    expect(ofType(rest, "step")).toEqual([]);
    const { refit, done } = outcome(rest);
    expect({ ...refit, seconds: 0 }).toEqual({ ...whole.refit, seconds: 0 });
    expect(done.best).toEqual(whole.done.best);
    expect(done.adapter.params).toEqual(whole.done.adapter.params);
  },
);

/** Aborts at the second run of a graph. */
function stoppingAt(engine: Engine, name: string, stopping: AbortController): Engine {
  return {
    ...engine,
    name: engine.name,
    facts: engine.facts,
    hold: (tensors) => engine.hold(tensors),
    close: () => engine.close(),
    [Symbol.asyncDispose]: () => engine.close(),
    async compile(graph, given) {
      const session = await engine.compile(graph, given);
      let runs = 0;
      return {
        bind: (feeds) => session.bind(feeds),
        sweep: (sweep) => session.sweep(sweep),
        release: () => session.release(),
        [Symbol.asyncDispose]: () => session.release(),
        run: (feeds, keep) => {
          if (graph.name === name && ++runs === 2) stopping.abort();
          return session.run(feeds, keep);
        },
      };
    },
  };
}
