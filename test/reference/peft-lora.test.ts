/** LoRA: live exchange with PEFT, for texts, words and answers, on tiny random backbones. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TextExample } from "ptuning/data";
import { nodeEngine } from "ptuning/engine";
import { type Adapter, loadAdapter, mergeAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import { type LoraOptions, lora } from "ptuning/internal/methods";
import type { TrainOptions } from "ptuning/internal/train";
import { questionAnswering, sequenceClassification, type Task, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askTransformers } from "../support/checkpoints.ts";
import { goldenPath } from "../support/golden.ts";
import {
  askPeft,
  expectNear,
  ints,
  logitsOf,
  ourLogits,
  type PeftPlace,
  questions,
  sentences,
  tags,
  tensorsIn,
  type WholeBatch,
  wholeBatch,
} from "../support/peft.ts";
import { has } from "../support/requirements.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions, tinyRoberta } from "../support/tiny.ts";

const texts: readonly TextExample[] = [
  { text: "w1 w2 w3", label: "a" },
  { text: "w4", label: "b" },
  { text: "w5 w6 w7 w8", pair: "w9 w1", label: "c" },
];
/** Per type of task: ours, what it is made of, how PEFT's folder is read, and what PEFT's loss takes of `[B, S]` tokens. */
const kinds = {
  SEQ_CLS: {
    task: sequenceClassification({ labels: ["a", "b", "c"], preset: "peft" }) as Task,
    examples: texts as readonly unknown[],
    options: { labels: ["a", "b", "c"] },
    gold: () => ({ labels: ints([3], [0, 1, 2]) }),
  },
  TOKEN_CLS: {
    task: tokenClassification({ labels: tags }) as Task,
    examples: sentences as readonly unknown[],
    options: { labels: tags },
    gold: (length: number) => ({
      labels: ints(
        [3, length],
        Array.from({ length: 3 * length }, (_, i) => i % 3),
      ),
    }),
  },
  QUESTION_ANS: {
    task: questionAnswering({ tokenTypes: false }) as Task,
    examples: questions as readonly unknown[],
    options: {},
    gold: () => ({ start_positions: ints([2], [5, 4]), end_positions: ints([2], [6, 4]) }),
  },
};

const backbones = {
  BERT: tinyBackbone,
  RoBERTa: tinyRoberta,
  MPNet: () => loadBackbone(goldenPath("mpnet"), { engine: nodeEngine({ threads: 1 }) }),
  NomicBERT: () => loadBackbone(goldenPath("nomic"), { engine: nodeEngine({ threads: 1 }) }),
};

/** What PEFT is asked for, and what we make of it. */
const asked: Record<string, { config: object; options: Partial<LoraOptions> }> = {
  "query and value": {
    config: { r: 4, lora_alpha: 16, lora_dropout: 0.1 },
    options: { rank: 4, alpha: 16, dropout: 0.1, targets: ["query", "value"] },
  },
  "all linear layers, stabilised": {
    config: { r: 4, lora_alpha: 6, target_modules: "all-linear", use_rslora: true },
    options: { rank: 4, alpha: 12 },
  },
  "ends of names in one layer": {
    config: {
      r: 2,
      target_modules: ["key", "output.dense"],
      layers_to_transform: [1],
      layers_pattern: "layer",
    },
    options: { rank: 2, alpha: 8 },
  },
  "names of what is one matrix in the file": {
    config: { r: 4, target_modules: ["q_proj", "v_proj"] },
    options: { rank: 4, targets: ["q_proj", "v_proj"] },
  },
  "names of another architecture": {
    config: { r: 4, target_modules: ["q", "v"] },
    options: { rank: 4, targets: ["q", "v"] },
  },
};

/** What is exchanged: adapters that PEFT trained, and one of ours. */
const cases: readonly {
  readonly architecture: keyof typeof backbones;
  readonly taskType: keyof typeof kinds;
  readonly theirs: readonly string[];
  readonly ours: LoraOptions;
}[] = [
  {
    architecture: "BERT",
    taskType: "SEQ_CLS",
    theirs: Object.keys(asked).slice(0, 3),
    ours: { rank: 2, alpha: 4, targets: "all" },
  },
  {
    architecture: "BERT",
    taskType: "TOKEN_CLS",
    theirs: ["ends of names in one layer"],
    ours: { targets: ["value", "intermediate.dense"], layers: { last: 1 } },
  },
  { architecture: "BERT", taskType: "QUESTION_ANS", theirs: ["query and value"], ours: { targets: "all" } },
  { architecture: "RoBERTa", taskType: "SEQ_CLS", theirs: ["all linear layers, stabilised"], ours: {} },
  {
    architecture: "NomicBERT",
    taskType: "TOKEN_CLS",
    theirs: ["names of what is one matrix in the file"],
    ours: { targets: "all" },
  },
  { architecture: "MPNet", taskType: "TOKEN_CLS", theirs: ["names of another architecture"], ours: {} },
];

describe.skipIf(!has.python).each(cases)(
  "$taskType on $architecture",
  ({ architecture, taskType, theirs: wanted, ours }) => {
    const { task, examples, options, gold } = kinds[taskType];
    let backbone: Backbone;
    let folder: string;
    let whole: WholeBatch;
    let place: PeftPlace;
    beforeAll(async () => {
      backbone = await backbones[architecture]();
      folder = await mkdtemp(join(tmpdir(), "ptuning-peft-lora-"));
      const { sequences } = await task.encode(examples, backbone.tokenizer, 32);
      whole = wholeBatch(sequences, backbone);
      const { batch } = whole;
      place = { backbone, batch, gold: gold(batch.length), folder };
    });
    afterAll(async () => {
      await backbone.close();
      await rm(folder, { recursive: true });
    });

    const peft = async (mode: "load" | "train", path: string, config: object = {}): Promise<number[][]> =>
      logitsOf(await askPeft(place, mode, path, `LORA:${JSON.stringify(config)}`, taskType));
    const logitsBy = (adapter: Adapter): Promise<number[]> => ourLogits(adapter, backbone, whole);

    test.each(wanted)(
      "PEFT → ours → PEFT keeps every tensor and the logits: %s",
      async (name) => {
        const { config, options: expected } = asked[name]!;
        const [theirs, back, own] = ["theirs", "back", "own"].map((part) => join(folder, part, name)) as [
          string,
          string,
          string,
        ];
        const logits = await peft("train", theirs, config);
        const adapter = await loadAdapter(theirs, options);
        expect(adapter.task.type).toBe(task.type);
        expect(adapter.method.name).toBe("lora");
        expect(adapter.method.options).toMatchObject(expected);
        expectNear(await logitsBy(adapter), logits);
        await adapter.save(back);
        expect(await tensorsIn(back)).toEqual(await tensorsIn(theirs));
        expect(await peft("load", back)).toEqual(logits);
        // Ours again, by way of our own file.
        await (await loadAdapter(back)).save(own);
        expect(await logitsBy(await loadAdapter(own))).toEqual(await logitsBy(adapter));
      },
      300_000,
    );

    test("PEFT computes the logits of an adapter that we trained, and transformers those of it merged", async () => {
      const path = join(folder, "trained");
      const method = lora(ours);
      const data = { ...tinyData, train: examples, dev: [], test: [] } as TrainOptions["data"];
      const events = await eventsOf(
        tinyOptions(backbone, {
          task: task as TrainOptions["task"],
          data,
          method,
          epochs: 5,
          learningRate: 0.03,
        }),
      );
      const { adapter } = ofType(events, "done")[0]!;
      const moved = Object.entries(adapter.params).filter(([name]) => name.endsWith(".B"));
      expect(moved.length).toBeGreaterThan(0);
      for (const [name, { data: numbers }] of moved)
        expect(Math.max(...Array.from(numbers as Float32Array, Math.abs)), name).toBeGreaterThan(1e-3);
      await adapter.save(path);
      expectNear(await logitsBy(adapter), await peft("load", path));

      const merged = await mergeAdapter(adapter, backbone);
      const alone = await logitsBy(merged);
      for (const [i, logit] of (await logitsBy(adapter)).entries()) expect(alone[i]).toBeCloseTo(logit, 4);
      if (taskType !== "SEQ_CLS") return;
      await merged.save(join(folder, "merged"));
      const theirs = await askTransformers(join(folder, "merged"), join(folder, "merged"), whole.batch);
      expect(theirs).toMatchObject({ missing: [], unexpected: [], labels: ["a", "b", "c"] });
      expectNear(alone, theirs.logits);
    }, 300_000);
  },
);
