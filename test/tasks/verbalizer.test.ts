/** Text classification with a template and label words on tiny backbones that have a masked-LM head. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { nodeEngine } from "ptuning/engine";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { linearProbe, methodFrom } from "ptuning/internal/methods";
import { createPredictor, settleTask, zeroShot } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { type SequenceClassificationOptions, sequenceClassification, type Task } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyLmFolders, tinyOptions } from "../support/tiny.ts";

const engine = nodeEngine({ threads: 1 });
let backbone: Backbone;
let roberta: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await loadBackbone(tinyLmFolders.bert, { engine });
  roberta = await loadBackbone(tinyLmFolders.roberta, { engine });
  folder = await mkdtemp(join(tmpdir(), "ptuning-verbalizer-"));
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

const { labels } = tinyData;
const one = { "class 0": "w30", "class 1": ["w31", "w33"], "class 2": ["w32"] };
const verbalizer = (more: Partial<SequenceClassificationOptions> = {}): Task =>
  sequenceClassification({
    labels,
    head: "verbalizer",
    template: "{text} w34 {mask}",
    words: one,
    ...more,
  }) as Task;

const trained = async (change: Partial<TrainOptions>): Promise<{ losses: number[]; adapter: Adapter }> => {
  const events = await eventsOf(tinyOptions(backbone, { task: verbalizer(), epochs: 2, ...change }));
  const losses = ofType(events, "evaluation").map(({ loss }) => loss);
  return { losses, adapter: ofType(events, "done")[0]!.adapter };
};

interface Answer {
  readonly label: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

const predictions = async (adapter: Adapter, on: Backbone, examples = tinyData.test): Promise<Answer[]> => {
  const predictor = await createPredictor<TextExample, Answer>(adapter, on, { precision: "fp32" });
  const answers = await predictor.predict(examples);
  await predictor.close();
  return answers;
};

const probabilities = (answers: readonly Answer[]): number[] =>
  answers.flatMap((answer) => Object.values(answer.probabilities));

describe.each([
  ["p-tuning-v2", { promptLength: 3, initScale: 0.5 }, 3e-2],
  ["prompt-tuning", { promptLength: 3 }, 3e-2],
  ["p-tuning", { promptLength: 3, encoderHiddenSize: 8 }, 1e-2],
  ["bitfit", {}, 1e-2],
  ["fine-tuning", {}, 3e-3],
])("%s", (name, options, learningRate) => {
  test("learns, is saved whole, and answers as before", async () => {
    const method = methodFrom(name, options);
    const { losses, adapter } = await trained({
      method,
      learningRate,
      task: verbalizer({ calibrate: true }),
    });
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(Object.keys(adapter.params).some((param) => param.startsWith("head."))).toBe(false);
    const path = join(folder, name);
    await adapter.save(path);
    const { task } = JSON.parse(await readFile(join(path, "ptuning.json"), "utf8"));
    expect(task.options).toMatchObject({
      head: "verbalizer",
      template: "{text} w34 {mask}",
      calibrate: true,
    });
    expect(task.options.words["class 1"]).toEqual(["w31", "w33"]);
    expect(task.options.calibration).toHaveLength(3);
    const loaded = await loadAdapter(path);
    const on = name === "fine-tuning" ? await loadBackbone(path, { engine }) : backbone;
    const [before, after] = [await predictions(adapter, backbone), await predictions(loaded, on)];
    expect(relativeError(probabilities(after), probabilities(before))).toBeLessThan(1e-6);
  });
});

test("the saved checkpoint of fine-tuning is a masked language model of transformers", async () => {
  const { architectures } = JSON.parse(await readFile(join(folder, "fine-tuning", "config.json"), "utf8"));
  expect(architectures).toEqual(["BertForMaskedLM"]);
});

test("PEFT has no verbalizer: its config says so", async () => {
  const config = JSON.parse(await readFile(join(folder, "p-tuning-v2", "adapter_config.json"), "utf8"));
  expect(config.not_for_peft).toContain("verbalizer");
});

describe("words of several pieces", () => {
  const words = { "class 0": ["w30 w29"], "class 1": ["w31", "w33 w28 w27"], "class 2": "w32" };

  test("answers do not depend on what else is in a batch", async () => {
    const task = verbalizer({ words });
    const settings = { task, epochs: 1, hiddenDropout: 0, attentionDropout: 0 };
    const { adapter, losses } = await trained({ ...settings, microBatchSize: 3 });
    expect(
      (adapter.task.options as Pick<SequenceClassificationOptions, "pieces">).pieces!.map(
        (own) => own.length,
      ),
    ).toEqual([1, 2, 1]);
    const whole = await trained(settings);
    expect(relativeError(losses, whole.losses)).toBeLessThan(1e-3);
    const together = await predictions(adapter, backbone, tinyData.test.slice(0, 9));
    const alone: Answer[] = [];
    const predictor = await createPredictor<TextExample, Answer>(adapter, backbone, { precision: "fp32" });
    for (const example of tinyData.test.slice(0, 9)) alone.push(...(await predictor.predict([example])));
    const evaluation = await predictor.evaluate(tinyData.test);
    await predictor.close();
    expect(relativeError(probabilities(together), probabilities(alone))).toBeLessThan(1e-5);
    const all = await predictions(adapter, backbone);
    const right = all.filter(({ label }, i) => label === tinyData.test[i]!.label).length;
    expect(evaluation.scores.accuracy).toBeCloseTo(right / all.length, 9);
  });
});

test.each<[string, Partial<TrainOptions>]>([
  ["memory: lean", { memory: "lean" }],
  ["cached lower layers", { trunkCache: "memory" }],
])("%s changes no loss", async (_, change) => {
  const settings = {
    task: verbalizer({ words: { ...one, "class 0": "w30 w29" } }),
    method: methodFrom("p-tuning-v2", { promptLength: 3, initScale: 0.5, promptLayers: { last: 1 } }),
    epochs: 1,
    hiddenDropout: 0,
    attentionDropout: 0,
  };
  const [plain, changed] = [await trained(settings), await trained({ ...settings, ...change })];
  expect(relativeError(changed.losses, plain.losses)).toBeLessThan(1e-4);
});

describe("calibration", () => {
  test.each(["bert", "roberta"] as const)("makes labels equal on an empty text: %s", async (name) => {
    const on = name === "bert" ? backbone : roberta;
    for (const words of [one, { "class 0": ["w30 w29"], "class 1": ["w31"], "class 2": ["w32"] }]) {
      const [plain, calibrated] = await Promise.all(
        [false, true].map(async (calibrate) => zeroShot(verbalizer({ words, calibrate }), on)),
      );
      const empty = [{ text: "" }];
      const [before, after] = [
        await predictions(plain!, on, empty),
        await predictions(calibrated!, on, empty),
      ].map(probabilities);
      expect(Math.max(...before!) - Math.min(...before!)).toBeGreaterThan(1e-3);
      for (const value of after!) expect(value).toBeCloseTo(1 / 3, 5);
    }
  });
});

test("an adapter of which nothing was trained is saved and evaluated", async () => {
  const adapter = await zeroShot(verbalizer(), backbone);
  const path = join(folder, "zero-shot");
  await adapter.save(path);
  const answers = await predictions(await loadAdapter(path), backbone);
  expect(probabilities(answers)).toEqual(probabilities(await predictions(adapter, backbone)));
  await expect(zeroShot(sequenceClassification({ labels }) as Task, backbone)).rejects.toThrow(
    /head has no parameters/,
  );
});

describe("pseudo-tokens of a template", () => {
  const inside = { promptLength: 4, placement: "template", encoderHiddenSize: 8 };
  const template = "{p*2} {text} {p*2} {mask}";

  test.each(["verbalizer", "linear"] as const)(
    "P-tuning is folded into plain vectors: head %s",
    async (head) => {
      const task = (
        head === "verbalizer"
          ? verbalizer({ template, calibrate: true })
          : sequenceClassification({ labels, template: "{p*2} {text} {p*2}", pooling: "cls" })
      ) as Task;
      const method = methodFrom("p-tuning", inside);
      const { losses, adapter } = await trained({ method, task, learningRate: 1e-2 });
      expect(losses.at(-1)).toBeLessThan(losses[0]!);
      expect(adapter.method.name).toBe("prompt-tuning");
      expect(adapter.params["prompt.input"]!.shape).toEqual([4, 32]);
      const path = join(folder, `pseudo-${head}`);
      await adapter.save(path);
      const loaded = await loadAdapter(path);
      expect(loaded.method.options.placement).toBe("template");
      expect(probabilities(await predictions(loaded, backbone))).toEqual(
        probabilities(await predictions(adapter, backbone)),
      );
    },
  );

  test.each([
    [
      "p-tuning",
      { ...inside, promptLength: 3 },
      template,
      /expected as many pseudo-tokens .* p-tuning .* 3, got 4/,
    ],
    ["p-tuning-v2", {}, template, /p-tuning-v2 has vectors for, 0, got 4/],
    [
      "prompt-tuning",
      { promptLength: 4, placement: "template" },
      "{text} {mask}",
      /prompt-tuning .* 4, got 0/,
    ],
  ])("%s with other numbers is refused", async (name, options, given, message) => {
    const method = methodFrom(name, options);
    await expect(trained({ method, task: verbalizer({ template: given }) })).rejects.toThrow(message);
  });

  test("settings that prompts in front have are refused", () => {
    const placed = (options: object) => () =>
      methodFrom("prompt-tuning", { placement: "template", ...options });
    expect(placed({ pooledRow: 0 })).toThrow(/pooledRow: expected text with placement template/);
    expect(placed({ embeddingPasses: 2 })).toThrow(/embeddingPasses: expected 1/);
    expect(() => methodFrom("prompt-tuning", { placement: "behind" })).toThrow(
      /placement: expected one of "front"\|"template"/,
    );
  });
});

describe("what is refused", () => {
  test("a backbone without a masked-LM head, with the reason and what to do", async () => {
    const plain = await tinyBackbone(engine);
    const refusal = settleTask(verbalizer(), plain);
    await expect(refusal).rejects.toMatchObject({ code: "BACKBONE_UNSUPPORTED" });
    await expect(refusal).rejects.toThrow(
      /expected a masked-LM head, as the task's head is verbalizer, got none/,
    );
    await expect(
      settleTask(verbalizer(), { ...backbone, config: { ...backbone.config, tiesWordEmbeddings: false } }),
    ).rejects.toThrow(/does not share the word embeddings/);
  });

  test("a method that has nothing to train", async () => {
    await expect(trained({ method: linearProbe() })).rejects.toThrow(/trains something, got linear-probe/);
  });

  test.each<[string, Partial<SequenceClassificationOptions>, RegExp]>([
    [
      "a word that the vocabulary lacks",
      { words: { ...one, "class 2": ["hello"] } },
      /words\.class 2: .* got "hello"/,
    ],
    ["words that two labels share", { words: { ...one, "class 2": ["w31"] } }, /no label has yet, got "w31"/],
  ])("%s", async (_, options, message) => {
    await expect(settleTask(verbalizer(options), backbone)).rejects.toThrow(message);
  });

  test.each<[string, Partial<SequenceClassificationOptions>, RegExp]>([
    ["no template", { template: undefined as never }, /template: expected/],
    ["a template without a mask", { template: "{text}" }, /\{mask\} once/],
    ["words of an unknown label", { words: { other: ["w1"] } }, /got those of "other"/],
    ["pooling", { pooling: "cls" }, /pooling: expected head linear/],
    ["words of a linear head", { head: "linear" }, /words: expected head verbalizer/],
    [
      "a mask of a linear head",
      { head: "linear", words: undefined as never },
      /no \{mask\} with head linear/,
    ],
  ])("%s", (_, options, message) => {
    expect(() => verbalizer(options)).toThrow(message);
  });
});

test("int8 layers answer nearly as fp32 ones", async () => {
  const { adapter } = await trained({ precision: "int8", epochs: 1 });
  const exact = await predictions(adapter, backbone);
  const predictor = await createPredictor<TextExample, Answer>(adapter, backbone, { precision: "int8" });
  const coarse = await predictor.predict(tinyData.test);
  await predictor.close();
  expect(relativeError(probabilities(coarse), probabilities(exact))).toBeLessThan(0.1);
});
