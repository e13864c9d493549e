/** A pool of adapters answers as their predictors alone do, to the bit. */
import { nodeEngine } from "ptuning/engine";
import { type Adapter, headOf, type SavedAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { bitfit, deepPrompt, linearProbe, lora, type Method, promptTuning } from "ptuning/internal/methods";
import { createPredictor, createPredictorPool, type PredictorPool, zeroShot } from "ptuning/internal/predict";
import { taskFrom } from "ptuning/internal/tasks";
import {
  multiLabelClassification,
  multipleChoice,
  questionAnswering,
  semanticRoles,
  sequenceClassification,
  textRegression,
  tokenClassification,
} from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomAdapter, randomMultiTask } from "../support/random-adapter.ts";
import { tinyFolder, tinyLmFolders, tinyRobertaFolder } from "../support/tiny.ts";

const engine = nodeEngine({ threads: 2 });
let backbone: Backbone;
let masked: Backbone;
let roberta: Backbone;
beforeAll(async () => {
  backbone = await loadBackbone(tinyFolder, { engine });
  masked = await loadBackbone(tinyLmFolders.bert, { engine });
  roberta = await loadBackbone(tinyRobertaFolder, { engine });
});
afterAll(() => engine.close());

const words = (rng: Rng, count: number): string[] =>
  Array.from({ length: count }, () => `w${rng.integer(34)}`);
/** Of every length, also none, and much more than is read. */
const text = (rng: Rng): string => words(rng, [0, 1, 2, 3, 5, 8, 13, 14, 15, 40][rng.integer(10)]!).join(" ");

// biome-ignore lint/suspicious/noExplicitAny: tasks of every kind of example
type Kind = readonly [task: any, example: (rng: Rng) => object];
const labels = ["a", "b", "c"];
const tags = ["O", "B-X", "I-X", "B-Y", "I-Y"];
const plain = (rng: Rng): object => ({ text: text(rng), ...(rng.uniform() < 0.3 && { pair: text(rng) }) });
const sentence = (rng: Rng): string[] => words(rng, 1 + rng.integer(rng.uniform() < 0.2 ? 40 : 8));

const kinds: Readonly<Record<string, Kind>> = {
  mean: [sequenceClassification({ labels }), plain],
  "of two labels, with a temperature": [
    sequenceClassification({ labels: ["x", "y"], temperature: 1.7 }),
    plain,
  ],
  abstaining: [sequenceClassification({ labels, abstain: { threshold: 0.4 } }), plain],
  cls: [sequenceClassification({ labels, pooling: "cls" }), plain],
  pooler: [sequenceClassification({ labels, pooling: "pooler" }), plain],
  layers: [sequenceClassification({ labels, pooling: "layers" }), plain],
  blend: [sequenceClassification({ labels, blend: true } as never), plain],
  "blend of layers": [sequenceClassification({ labels, pooling: "layers", blend: true } as never), plain],
  "of 90 labels": [
    sequenceClassification({ labels: Array.from({ length: 90 }, (_, i) => `label ${i}`) }),
    plain,
  ],
  "multi-label": [multiLabelClassification({ labels }), plain],
  regression: [textRegression({}), plain],
  tags: [tokenClassification({ labels: tags }), (rng) => ({ words: sentence(rng) })],
  "tags, decoded one by one": [
    tokenClassification({ labels: tags, decoding: "argmax" }),
    (rng) => ({ words: sentence(rng) }),
  ],
  roles: [
    semanticRoles({ labels: ["O", "B-V", "I-V", "B-ARG0", "I-ARG0"] }),
    (rng) => {
      const own = sentence(rng);
      return { words: own, predicate: rng.integer(own.length) };
    },
  ],
  answers: [
    questionAnswering({}),
    (rng) => ({ id: `${rng.integer(1e6)}`, question: words(rng, 3).join(" "), context: `${text(rng)} w1` }),
  ],
  choice: [
    multipleChoice({}),
    (rng) => ({ text: text(rng), choices: Array.from({ length: 2 + rng.integer(3) }, () => text(rng)) }),
  ],
  selection: [
    taskFrom("answer-selection", { labels: ["0", "1"] }),
    (rng) => ({ text: text(rng), pair: text(rng), candidate: "w1", group: "1" }),
  ],
};

const methods: Readonly<Record<string, Method>> = {
  prompts: deepPrompt({ promptLength: 3 }),
  "prompts with a gate": deepPrompt({ promptLength: 3, gate: true }),
  "prompts at the last layer": deepPrompt({
    promptLength: 5,
    promptLayers: { last: 1 },
    positionOffset: false,
  }),
  "input prompts": promptTuning({ promptLength: 3 }),
  "input prompts as in PEFT": promptTuning({ promptLength: 4, preset: "peft" }),
  "input prompts, embedded twice": promptTuning({ promptLength: 3, embeddingPasses: 2 }),
  "the head alone": linearProbe(),
  "low ranks": lora({ rank: 2, targets: "all" }),
  biases: bitfit(),
};

interface Member {
  readonly name: string;
  readonly source: SavedAdapter;
  readonly head?: string;
  readonly example: (rng: Rng) => object;
}

/** What each example comes to with the predictor of its adapter. */
async function alone(on: Backbone, { source, head }: Member, examples: object[], precision: "fp32" | "int8") {
  await using predictor = await createPredictor(headOf(source, head), on, { precision });
  return await predictor.predict(examples);
}

/** Examples of all members in any order, all in one call, in several, and one by one, against each member's own predictor. */
async function expectEqual(
  pool: PredictorPool,
  on: Backbone,
  members: readonly Member[],
  precision: "fp32" | "int8",
  each = 4,
): Promise<void> {
  const asked: { adapter: string; example: object }[] = [];
  const expected = new Map<object, unknown>();
  for (const [k, member] of members.entries()) {
    const rng = new Rng(k, 77);
    const examples = Array.from({ length: each }, () => member.example(rng));
    const answers = await alone(on, member, examples, precision);
    for (const [i, example] of examples.entries()) {
      expected.set(example, answers[i]);
      asked.push({ adapter: member.head ? `${member.name}:${member.head}` : member.name, example });
    }
  }
  for (const seed of [1, 2]) {
    const shuffled = new Rng(seed).shuffle(asked);
    const answers = await pool.predict(shuffled);
    for (const [i, { adapter, example }] of shuffled.entries())
      expect(answers[i], adapter).toEqual(expected.get(example));
  }
  const items = await Promise.all(
    asked.slice(0, 40).map(({ adapter, example }) => pool.prepare(adapter, example)),
  );
  const parts = await Promise.all([
    pool.run(items.slice(0, 1)),
    pool.run(items.slice(1, 9)),
    pool.run(items.slice(9)),
  ]);
  expect(parts.flat()).toEqual(asked.slice(0, 40).map(({ example }) => expected.get(example)));
}

describe.each(["fp32", "int8"] as const)("in %s", (precision) => {
  test("adapters of all kinds of tasks and methods answer together as each does alone", async () => {
    const members: Member[] = [];
    for (const [kind, [task, example]] of Object.entries(kinds)) {
      for (const [tuned, method] of Object.entries(methods)) {
        if (method.trains !== undefined && task.head.bare !== undefined) continue;
        const name = `${kind}-${tuned}`.replace(/[^\w]+/g, "-");
        members.push({ name, source: randomAdapter(backbone, task, method, members.length), example });
      }
    }
    await using pool = await createPredictorPool(backbone, { precision });
    for (const { name, source } of members) await pool.add(name, source);
    await expectEqual(pool, backbone, members, precision, 3);
  });

  test("tasks on one prompt, poolers that the checkpoint lacks, and verbalizers", async () => {
    const several = randomMultiTask(
      roberta,
      { a: kinds.mean![0], ner: kinds.tags![0], pooled: kinds.pooler![0] },
      deepPrompt({ promptLength: 3 }),
      5,
    );
    const drawn = [1, 2].map((seed) => randomAdapter(roberta, kinds.pooler![0], linearProbe(), seed));
    const members: Member[] = [
      { name: "both", head: "a", source: several, example: plain },
      { name: "both", head: "ner", source: several, example: kinds.tags![1] },
      { name: "both", head: "pooled", source: several, example: plain },
      ...drawn.map((source, i) => ({ name: `drawn-${i}`, source, example: plain })),
    ];
    await using pool = await createPredictorPool(roberta, { precision });
    for (const { name, source } of members) await pool.add(name, source);
    expect(pool.get("both")!.tasks.map(({ name }) => name)).toEqual(["both:a", "both:ner", "both:pooled"]);
    expect(pool.get("both:ner")).toEqual(pool.get("both"));
    expect(pool.get("both:other")).toBeUndefined();
    await expect(pool.prepare("both", { text: "w1" })).rejects.toThrow(/both:a, both:ner/);
    await expectEqual(pool, roberta, members, precision);

    const template = "{text} {mask}";
    const verbalizers: Member[] = await Promise.all(
      [
        ["w1", "w2"],
        ["w3", "w4"],
      ].map(async (own, i) => {
        const task = sequenceClassification({ labels: own, head: "verbalizer", template } as never);
        return {
          name: `v${i}`,
          source: await zeroShot(task as never, masked, { maxLength: 16 }),
          example: (rng) => ({ text: text(rng) }),
        };
      }),
    );
    await using guessing = await createPredictorPool(masked, { precision });
    for (const { name, source } of verbalizers) await guessing.add(name, source);
    await expectEqual(guessing, masked, verbalizers, precision);
  });
});

test("tasks that compare their examples compare those of one call", async () => {
  const task = taskFrom("candidate-ranking", { labels: ["false", "true"] });
  const source: Adapter = randomAdapter(backbone, task, deepPrompt({ promptLength: 3 }), 9);
  const examples = Array.from({ length: 12 }, (_, i) => ({
    ...{ text: `w${i} w2`, pair: `w${2 * i}`, candidate: `c${i}`, group: `${i % 3}`, answers: [`c${i % 3}`] },
  }));
  await using pool = await createPredictorPool(backbone, { precision: "fp32" });
  await pool.add("ranking", source);
  const other = { adapter: "ranking", example: examples[0]! };
  const answers = await pool.predict(examples.map((example) => ({ ...other, example })));
  expect(answers).toEqual(await alone(backbone, { name: "", source, example: plain }, examples, "fp32"));
});
