/** LoRA: live exchange with PEFT, for texts, words and answers, on tiny random backbones. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnswerExample, TextExample, TokenExample } from "ptuning/data";
import { nodeEngine } from "ptuning/engine";
import { type Adapter, loadAdapter, mergeAdapter } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { type LoraOptions, lora } from "ptuning/internal/methods";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { padBatch, type TokenBatch, tokenCount } from "ptuning/internal/text";
import type { TrainOptions } from "ptuning/internal/train";
import { questionAnswering, sequenceClassification, type Task, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runReference } from "../../tools/reference/run.mjs";
import { askTransformers } from "../support/checkpoints.ts";
import { goldenPath } from "../support/golden.ts";
import { has } from "../support/requirements.ts";
import { eventsOf, ofType, tinyBackbone, tinyData, tinyOptions, tinyRoberta } from "../support/tiny.ts";

const labels = ["O", "B-X", "I-X"];
const words: readonly TokenExample[] = [
  { words: ["w1", "w2", "w3", "w9"], tags: ["B-X", "I-X", "O", "O"] },
  { words: ["w4", "w1"], tags: ["O", "B-X"] },
  { words: ["w5", "w6", "w7", "w8", "w2", "w1"], tags: ["O", "O", "O", "B-X", "I-X", "O"] },
];
const questions: readonly AnswerExample[] = [
  { id: "a", question: "w1 w2", context: "w3 w4 w5 w6", answers: [{ text: "w4 w5", start: 3 }] },
  { id: "b", question: "w7", context: "w3 w1", answers: [{ text: "w1", start: 3 }] },
];
const texts: readonly TextExample[] = [
  { text: "w1 w2 w3", label: "a" },
  { text: "w4", label: "b" },
  { text: "w5 w6 w7 w8", pair: "w9 w1", label: "c" },
];
const ints = (shape: number[], data: number[]): Tensor => ({
  dtype: "int32",
  shape,
  data: Int32Array.from(data),
});

/** Per type of task: ours, what it is made of, how PEFT's folder is read, and what PEFT's loss takes of `[B, S]` tokens. */
const kinds = {
  SEQ_CLS: {
    task: sequenceClassification({ labels: ["a", "b", "c"], preset: "peft" }) as Task,
    examples: texts as readonly unknown[],
    options: { labels: ["a", "b", "c"] },
    gold: () => ({ labels: ints([3], [0, 1, 2]) }),
  },
  TOKEN_CLS: {
    task: tokenClassification({ labels }) as Task,
    examples: words as readonly unknown[],
    options: { labels },
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
  { architecture: "MPNet", taskType: "TOKEN_CLS", theirs: ["names of another architecture"], ours: {} },
];

describe.skipIf(!has.python).each(cases)(
  "$taskType on $architecture",
  ({ architecture, taskType, theirs: wanted, ours }) => {
    const { task, examples, options, gold } = kinds[taskType];
    let backbone: Backbone;
    let folder: string;
    let batch: TokenBatch;
    let counts: number[];
    beforeAll(async () => {
      backbone = await backbones[architecture]();
      folder = await mkdtemp(join(tmpdir(), "ptuning-peft-lora-"));
      const { sequences } = await task.encode(examples, backbone.tokenizer, 32);
      const rows = Array.from({ length: sequences.count }, (_, row) => row);
      batch = padBatch(sequences, rows, backbone.config.padTokenId);
      counts = rows.map((row) => tokenCount(sequences, row));
      const rowsFirst = ({ shape: [S = 0, B = 0], data }: Tensor<"int32">): Tensor =>
        ints(
          [B, S],
          Array.from({ length: S * B }, (_, i) => data[(i % S) * B + Math.floor(i / S)]!),
        );
      const inputs = {
        ids: rowsFirst(batch.inputIds),
        types: rowsFirst(batch.tokenTypeIds),
        mask: rowsFirst(batch.attentionMask),
      };
      await writeFile(
        join(folder, "batch.safetensors"),
        encodeSafetensors({ ...inputs, ...gold(batch.length) }),
      );
    });
    afterAll(async () => {
      await backbone.close();
      await rm(folder, { recursive: true });
    });

    async function peft(mode: "load" | "train", path: string, config: object = {}): Promise<number[][]> {
      const [data, out] = [join(folder, "batch.safetensors"), join(folder, "out.json")];
      const type = `LORA:${JSON.stringify(config)}`;
      await runReference("peft_live.py", mode, backbone.folder, path, data, out, type, taskType);
      const { logits, error } = JSON.parse(await readFile(out, "utf8"));
      expect(error).toBeUndefined();
      return logits;
    }

    /** Our logits: of texts, or of the real tokens, sequence by sequence. */
    async function ourLogits({ task: own, params, frozen, method }: Adapter): Promise<number[]> {
      const parts = { backbone, method, head: own.head, frozen };
      await using session = await backbone.engine.compile(inferenceGraph(parts, params));
      const { logits } = await session.run({ ...batchFeeds(batch), ...params });
      const width = logits!.shape.at(-1)!;
      const rows =
        taskType === "SEQ_CLS"
          ? counts.map((_, b) => b)
          : counts.flatMap((count, b) => Array.from({ length: count }, (_, s) => s * counts.length + b));
      return rows.flatMap((row) => Array.from(logits!.data.slice(row * width, (row + 1) * width), Number));
    }

    function expectEqual(found: readonly number[], theirs: readonly (readonly number[])[]): void {
      const flat = theirs.flat();
      expect(found).toHaveLength(flat.length);
      expect(Math.max(...flat.map((logit, i) => Math.abs(logit - found[i]!)))).toBeLessThan(1e-4);
    }

    const tensorsOf = async (path: string): Promise<Record<string, Tensor>> =>
      (await readSafetensors(join(path, "adapter_model.safetensors"))).tensors;

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
        expectEqual(await ourLogits(adapter), logits);
        await adapter.save(back);
        expect(await tensorsOf(back)).toEqual(await tensorsOf(theirs));
        expect(await peft("load", back)).toEqual(logits);
        // Ours again, by way of our own file.
        await (await loadAdapter(back)).save(own);
        expect(await ourLogits(await loadAdapter(own))).toEqual(await ourLogits(adapter));
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
      expectEqual(await ourLogits(adapter), await peft("load", path));

      const merged = await mergeAdapter(adapter, backbone);
      const alone = await ourLogits(merged);
      for (const [i, logit] of (await ourLogits(adapter)).entries()) expect(alone[i]).toBeCloseTo(logit, 4);
      if (taskType !== "SEQ_CLS") return;
      await merged.save(join(folder, "merged"));
      const theirs = await askTransformers(join(folder, "merged"), join(folder, "merged"), batch);
      expect(theirs).toMatchObject({ missing: [], unexpected: [], labels: ["a", "b", "c"] });
      expectEqual(alone, theirs.logits);
    }, 300_000);
  },
);
