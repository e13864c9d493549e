import type { Dataset } from "ptuning/data";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import {
  type ComparisonOptions,
  type ComparisonPlan,
  planComparison,
  presetOf,
  presets,
} from "ptuning/internal/comparisons";
import {
  type CompleteConfig,
  completeConfig,
  methodOf,
  parseConfig,
  readData,
} from "ptuning/internal/config";
import { methods } from "ptuning/internal/methods";
import { beforeAll, describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { goldenPath } from "../support/golden.ts";
import { tinyFolder, tinyLmFolders } from "../support/tiny.ts";

let tiny: Backbone;
let data: Dataset<unknown>;
beforeAll(async () => {
  tiny = await loadBackbone(tinyFolder);
  data = await readData(await config());
  return () => tiny.close();
});

function config(...overrides: string[]): Promise<CompleteConfig> {
  const train = "examples/01-support-intents/train.csv";
  return completeConfig(
    parseConfig({ overrides: [`data.train=${train}`, `backbone=${tinyFolder}`, ...overrides] }),
  );
}

/** The tiny backbone as if it were of another size. */
const sized = (numLayers: number, maxPositions = 512): Backbone => ({
  ...tiny,
  config: { ...tiny.config, numLayers, maxPositions },
});

async function plan(
  preset: string,
  overrides: readonly string[] = [],
  options: Partial<ComparisonOptions> = {},
): Promise<ComparisonPlan> {
  const given = await config(...overrides);
  return planComparison({
    ...{ config: given, data, backbone: sized(24), preset: presetOf(preset), name: "x", ...options },
  });
}
const names = ({ variants }: ComparisonPlan): string[] => variants.map(({ name }) => name);

test("the command line offers every preset", async () => {
  const { stdout } = await ptuning(["compare", "--help"]);
  const offered = /what is compared \(choices: ([^)]*?), default/s.exec(stdout.replace(/\s+/g, " "))![1]!;
  expect(offered.replaceAll('"', "").split(", ")).toEqual(presets.map(({ name }) => name));
});

/** Backbones of two sizes. */
const two = [
  { name: "minilm", place: "minilm", id: "small", fingerprint: "a", parameterCount: 22_713_216 },
  { name: "big", place: "/models/large", id: "large", fingerprint: "b", parameterCount: 109_486_464 },
];

describe("backbones", () => {
  test("each method on each backbone, over its parameters, is a curve", async () => {
    const chosen = ["linear-probe", "p-tuning-v2"];
    const planned = await plan("backbones", ["method.promptLength=7"], { backbones: two, methods: chosen });
    expect(names(planned)).toEqual(chosen.flatMap((method) => two.map(({ name }) => `${method}, ${name}`)));
    for (const { series, at, config: own, runs } of planned.variants) {
      const { place } = two.find(({ parameterCount }) => parameterCount === at)!;
      expect(own.backbone).toBe(place);
      expect(own.method.name).toBe(series);
      expect(runs).toHaveLength(3);
    }
    expect(planned.variants.at(-1)!.config.method).toEqual({ name: "p-tuning-v2", promptLength: 7 });
    expect(planned.backbone).toBe("small, large");
    expect(planned.fingerprints.backbone).toBe("a b");
  });

  test("are two or more, and go with this preset alone", async () => {
    await expect(plan("backbones")).rejects.toThrow("backbones: expected two or more, got 0.");
    await expect(plan("backbones", [], { backbones: two.slice(1) })).rejects.toThrow(/two or more, got 1/);
    await expect(plan("depth", [], { backbones: two })).rejects.toThrow(
      "backbones: the preset depth takes none.",
    );
  });
});

describe("methods", () => {
  const tuned = [
    "method.promptLength=7",
    "training.learningRate=0.05",
    "training.warmupSteps=9",
    "training.headLearningRate=0.1",
    "training.epochs=2",
  ];

  test("are all where nobody chooses, the configured one as configured, others with their own defaults", async () => {
    const { variants } = await plan("methods", tuned);
    expect(variants.map(({ name }) => name)).toEqual(Object.keys(methods));
    for (const { name, config: own } of variants) {
      expect(own.training.epochs, name).toBe(2);
      if (name === "p-tuning-v2") {
        expect(own.method).toEqual({ name, promptLength: 7 });
        expect(own.training).toMatchObject({ learningRate: 0.05, warmupSteps: 9 });
      } else {
        expect(own.method).toEqual({ name });
        expect(own.training).toEqual({ epochs: 2 });
      }
    }
  });

  test("take settings of their own", async () => {
    const settings = [{ of: "bitfit", key: "training.learningRate", value: 0.25 }];
    const { variants } = await plan("methods", tuned, { settings, methods: ["bitfit", "p-tuning-v2"] });
    expect(variants.map((variant) => variant.config.training.learningRate)).toEqual([0.25, 0.05]);
    const wrong = plan("methods", [], { settings: [{ ...settings[0]!, of: "bitfitt" }] });
    await expect(wrong).rejects.toThrow(/--set bitfitt:training.learningRate: expected one of p-tuning-v2, /);
  });

  test("that are named twice or do not exist are refused", async () => {
    await expect(plan("methods", [], { methods: ["bitfit", "bitfit"] })).rejects.toThrow(
      /different variants/,
    );
    await expect(plan("methods", [], { methods: ["lore"] })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
    });
    await expect(plan("depth", [], { methods: ["bitfit"] })).rejects.toThrow(/the preset depth takes none/);
  });

  test("have a trial per seed, the same ones every time", async () => {
    const first = await plan("methods");
    const ids = ({ variants }: ComparisonPlan): string[] =>
      variants.flatMap(({ runs }) => runs.map(({ trial }) => trial.id));
    expect(new Set(ids(first)).size).toBe(3 * Object.keys(methods).length);
    expect(ids(await plan("methods"))).toEqual(ids(first));
    expect(first.variants[0]!.runs.map(({ seed }) => seed)).toEqual([11, 12, 13]);
    const { variants } = await plan("methods", ["training.seed=40"], { seeds: 2 });
    expect(variants[0]!.runs.map(({ trial }) => trial.config.training.seed)).toEqual([40, 41]);
    expect(
      (await plan("methods", [], { seeds: [5, 9, 5] })).variants[0]!.runs.map(({ seed }) => seed),
    ).toEqual([5, 9]);
  });
});

test("depth: the layer sets of figure 3 on a large backbone, every depth on a small one", async () => {
  const large = await plan("depth");
  expect(names(large)).toEqual([
    ...[4, 8, 12, 16, 20].map((k) => `first ${k}`),
    ...[4, 8, 12, 16, 20].map((k) => `last ${k}`),
    "all 24",
  ]);
  const layers = (one: ComparisonPlan): unknown[] =>
    one.variants.map(({ config: { method } }) => "promptLayers" in method && method.promptLayers);
  expect(layers(large)[1]).toEqual({ first: 8 });
  expect(layers(large)[5]).toEqual({ last: 4 });
  expect(layers(large)[10]).toBe("all");
  // The point with all layers lies on both curves.
  expect(large.variants.map(({ series }) => series).filter((series) => series === undefined)).toHaveLength(1);
  const small = await plan("depth", [], { backbone: sized(6) });
  expect(names(small)).toHaveLength(11);
  expect(names(await plan("depth", [], { backbone: sized(12), values: [3, 12] }))).toEqual([
    ...["first 3", "last 3", "all 12"],
  ]);
  await expect(plan("depth", [], { values: [25] })).rejects.toThrow(/at most the 24 layers/);
  await expect(plan("depth", ["method.name=bitfit"])).rejects.toThrow(
    /expected method p-tuning-v2, got bitfit/,
  );
});

test("length: the released lengths, each with and without the MLP, which has a learning rate of its own", async () => {
  const { variants, figure } = await plan("length", ["training.learningRate=0.02", "method.initScale=0.5"]);
  expect(variants.map(({ series, at }) => `${series} ${at}`)).toEqual(
    ["embedding", "MLP"].flatMap((series) => [4, 8, 16, 32, 64, 128].map((length) => `${series} ${length}`)),
  );
  expect(figure).toMatchObject({ shape: "lines", scale: "log" });
  for (const { series, config: own } of variants) {
    expect(own.method).toMatchObject({ initScale: 0.5 });
    expect(own.training.learningRate).toBe(series === "MLP" ? undefined : 0.02);
  }
  expect(methodOf(variants[11]!.config).defaults.learningRate).toBe(1e-3);
  // A prompt that leaves no room for the text is no point of the figure.
  expect(names(await plan("length", [], { backbone: sized(2, 48) }))).toEqual([
    ...["4", "8", "4, MLP", "8, MLP"],
  ]);
});

test("reparameterization: two bars at the configured length", async () => {
  const { variants, figure } = await plan("reparameterization", ["method.promptLength=9"]);
  expect(figure.shape).toBe("bars");
  expect(variants.map(({ config: { method } }) => method)).toEqual([
    { name: "p-tuning-v2", promptLength: 9, reparameterization: "none" },
    { name: "p-tuning-v2", promptLength: 9, reparameterization: "mlp" },
  ]);
});

test("shots: five samplings of each number, a curve per method", async () => {
  const { variants } = await plan("shots", ["data.limit=50"]);
  expect(variants.map(({ at, runs }) => [at, runs.length])).toEqual([4, 8, 16, 32, 64].map((k) => [k, 5]));
  for (const { at, runs } of variants) {
    for (const { seed, trial } of runs) {
      expect(trial.config.data).toMatchObject({ shots: at, sampleSeed: seed });
      expect(trial.config.data.limit).toBeUndefined();
      expect(trial.config.training.seed).toBe(seed);
    }
  }
  const two = await plan("shots", [], { methods: ["p-tuning-v2", "fine-tuning"], values: [1, 2] });
  expect(two.variants.map(({ series }) => series)).toEqual([
    ...["p-tuning-v2", "p-tuning-v2", "fine-tuning", "fine-tuning"],
  ]);
});

describe("heads", () => {
  test("are the poolings where the backbone has no masked-LM head", async () => {
    expect(names(await plan("heads")).sort()).toEqual(["cls + linear", "mean + linear", "pooler + linear"]);
  });

  test("are a linear one on [CLS] and a verbalizer where it has, each with its own settings", async () => {
    const backbone = await loadBackbone(tinyLmFolders.bert);
    const tasks = ({ variants }: ComparisonPlan): unknown[] =>
      variants.map(({ name, config: { task } }) => [name, task]);
    const type = "text-classification";
    expect(tasks(await plan("heads", ["task.headDropout=0.2"], { backbone }))).toEqual([
      ["[CLS] + linear", { type, pooling: "cls", headDropout: 0.2 }],
      ["verbalizer + LM head", { type, head: "verbalizer" }],
    ]);
    const words = { return_refund: "money" };
    const overrides = ["preset=thudm", "task.head=verbalizer", `task.words=${JSON.stringify(words)}`];
    expect(tasks(await plan("heads", overrides, { backbone }))).toEqual([
      ["[CLS] + linear", { type }],
      ["verbalizer + LM head", { type, head: "verbalizer", words }],
    ]);
    await backbone.close();
  });

  test("a task with one head is refused", async () => {
    const tokens = { task: { type: "token-classification" } };
    const given = { ...(await config()), ...tokens };
    expect(() => presetOf("heads").variants({ config: given, backbone: tiny })).toThrow(
      /heads: expected a task with several heads, got token-classification/,
    );
  });
});

test("heads compare no verbalizer where words cannot be guessed", async () => {
  await using backbone = await loadBackbone(goldenPath("deberta-v3"));
  expect(names(await plan("heads", [], { backbone })).join()).toMatch(/^(\w+ \+ linear,?)+$/);
});

test("no preset has more than twelve points by itself", async () => {
  for (const { name, takesBackbones } of presets) {
    for (const numLayers of [2, 6, 12, 13, 24, 48]) {
      const backbones = takesBackbones && two;
      const { variants } = await plan(name, [], { backbone: sized(numLayers), backbones });
      expect(variants.length, `${name} of ${numLayers}`).toBeLessThanOrEqual(12);
    }
  }
});

test("scores are the test set's where there is one", async () => {
  expect((await plan("methods")).score).toEqual({ name: "accuracy", on: "dev" });
  const tested = { data: { ...data, test: data.train } };
  expect((await plan("methods", [], tested)).score).toEqual({ name: "accuracy", on: "test" });
  expect((await plan("methods", ["training.selectBy=macroF1"], tested)).score.name).toBe("macroF1");
  expect((await plan("methods", ["training.selectBy=loss"], tested)).score).toEqual({
    name: "loss",
    on: "dev",
  });
});
