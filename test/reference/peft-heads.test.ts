/** Live exchange of adapters for words and for answers with PEFT, on tiny random backbones. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnswerExample, TokenExample } from "ptuning/data";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import { encodeSafetensors, readSafetensors } from "ptuning/internal/files";
import { batchFeeds, inferenceGraph } from "ptuning/internal/model";
import { padBatch, type TokenBatch, tokenCount } from "ptuning/internal/text";
import { questionAnswering, type Task, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runReference } from "../../tools/reference/run.mjs";
import { has } from "../support/requirements.ts";
import { tinyBackbone, tinyRoberta } from "../support/tiny.ts";

const labels = ["O", "B-X", "I-X"];
const sentences: readonly TokenExample[] = [
  { words: ["w1", "w2", "w3", "w9"], tags: ["B-X", "I-X", "O", "O"] },
  { words: ["w4", "w1"], tags: ["O", "B-X"] },
  { words: ["w5", "w6", "w7", "w8", "w2", "w1"], tags: ["O", "O", "O", "B-X", "I-X", "O"] },
];
const questions: readonly AnswerExample[] = [
  { id: "a", question: "w1 w2", context: "w3 w4 w5 w6", answers: [{ text: "w4 w5", start: 3 }] },
  { id: "b", question: "w7", context: "w3 w1", answers: [{ text: "w1", start: 3 }] },
];
const ints = (shape: number[], data: Int32Array): Tensor => ({ dtype: "int32", shape, data });

/** What the loss of a task takes in PEFT: labels of first tokens, places of answers. */
const kinds = {
  TOKEN_CLS: {
    task: tokenClassification({ labels }) as Task,
    examples: sentences as readonly unknown[],
    options: { labels },
    async gold(task: Task, backbone: Backbone, { length }: TokenBatch) {
      const { targets } = task.targets(await task.encode(sentences, backbone.tokenizer, 32), {
        rows: Int32Array.from(sentences.keys()),
        length,
      }) as { targets: Tensor };
      // One-hot rows of the labelled tokens, positions outside; all zero where none counts.
      const [batch, classes] = [sentences.length, labels.length];
      const data = Int32Array.from({ length: batch * length }, (_, i) => {
        const row = ((i % length) * batch + Math.floor(i / length)) * classes;
        return Array.from({ length: classes }, (__, c) => Number(targets.data[row + c])).findIndex(
          (x) => x > 0,
        );
      });
      return {
        labels: ints(
          [batch, length],
          data.map((label) => (label < 0 ? -100 : label)),
        ),
      };
    },
  },
  QUESTION_ANS: {
    task: questionAnswering({ tokenTypes: false }) as Task,
    examples: questions as readonly unknown[],
    options: {},
    gold: async () => ({
      start_positions: ints([2], Int32Array.of(5, 4)),
      end_positions: ints([2], Int32Array.of(6, 4)),
    }),
  },
};

const backbones = { BERT: tinyBackbone, RoBERTa: tinyRoberta };
const cases = (Object.keys(backbones) as (keyof typeof backbones)[]).flatMap((architecture) =>
  (Object.keys(kinds) as (keyof typeof kinds)[]).map((taskType) => ({ architecture, taskType })),
);

describe.skipIf(!has.python).each(cases)("$taskType on $architecture", ({ architecture, taskType }) => {
  const { task, examples, options, gold } = kinds[taskType];
  let backbone: Backbone;
  let folder: string;
  let batch: TokenBatch;
  let counts: number[];
  beforeAll(async () => {
    backbone = await backbones[architecture]();
    folder = await mkdtemp(join(tmpdir(), "ptuning-peft-heads-"));
    const { sequences } = await task.encode(examples, backbone.tokenizer, 32);
    const rows = Array.from({ length: sequences.count }, (_, row) => row);
    batch = padBatch(sequences, rows, backbone.config.padTokenId);
    counts = rows.map((row) => tokenCount(sequences, row));
    const rowsFirst = ({ shape: [S = 0, B = 0], data }: Tensor<"int32">): Tensor =>
      ints(
        [B, S],
        Int32Array.from({ length: S * B }, (_, i) => data[(i % S) * B + Math.floor(i / S)]!),
      );
    const inputs = {
      ids: rowsFirst(batch.inputIds),
      types: rowsFirst(batch.tokenTypeIds),
      mask: rowsFirst(batch.attentionMask),
    };
    const tensors = { ...inputs, ...(await gold(task, backbone, batch)) };
    await writeFile(join(folder, "batch.safetensors"), encodeSafetensors(tensors));
  });
  afterAll(async () => {
    await backbone.close();
    await rm(folder, { recursive: true });
  });

  async function peft(mode: "load" | "train", path: string): Promise<number[][]> {
    const [data, out] = [join(folder, "batch.safetensors"), join(folder, "out.json")];
    await runReference("peft_live.py", mode, backbone.folder, path, data, out, "PREFIX_TUNING", taskType);
    const { logits, error } = JSON.parse(await readFile(out, "utf8"));
    expect(error).toBeUndefined();
    return logits;
  }

  /** Our logits of the real tokens, sequence by sequence. */
  async function ourLogits({ task: own, params, frozen, method }: Adapter): Promise<number[]> {
    const parts = { backbone, method, head: own.head, frozen };
    const session = await backbone.engine.compile(inferenceGraph(parts, params));
    const { logits } = await session.run({ ...batchFeeds(batch), ...params });
    await session.release();
    const width = logits!.shape.at(-1)!;
    return counts.flatMap((count, b) =>
      Array.from({ length: count }, (_, s) => (s * counts.length + b) * width).flatMap((at) =>
        Array.from(logits!.data.slice(at, at + width), Number),
      ),
    );
  }

  test("PEFT → ours → PEFT keeps every tensor and the logits of real tokens", async () => {
    const [theirs, back, own] = ["theirs", "back", "own"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const logits = await peft("train", theirs);
    const adapter = await loadAdapter(theirs, options);
    expect(adapter.task.type).toBe(task.type);
    expect(adapter.method.options.promptLength).toBe(7);
    const ours = await ourLogits(adapter);
    expect(ours).toHaveLength(logits.flat().length);
    expect(Math.max(...logits.flat().map((logit, i) => Math.abs(logit - ours[i]!)))).toBeLessThan(1e-4);
    await adapter.save(back);
    const tensorsOf = async (path: string): Promise<Record<string, Tensor>> =>
      (await readSafetensors(join(path, "adapter_model.safetensors"))).tensors;
    expect(await tensorsOf(back)).toEqual(await tensorsOf(theirs));
    expect(await peft("load", back)).toEqual(logits);
    // Ours again, by way of our own file.
    await (await loadAdapter(back)).save(own);
    expect(await ourLogits(await loadAdapter(own))).toEqual(ours);
  }, 300_000);

  test("labels that do not name the head's outputs are refused", async () => {
    await expect(loadAdapter(join(folder, "theirs"), { labels: ["O"] })).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringMatching(/^labels: expected [03] names, got 1\.$/),
    });
  });
});
