/** Live exchange of adapters for words and for answers with PEFT, on tiny random backbones. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import type { Tensor } from "ptuning/internal/core";
import type { TokenBatch } from "ptuning/internal/text";
import { questionAnswering, type Task, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
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
import { tinyBackbone, tinyRoberta } from "../support/tiny.ts";

/** What the loss of a task takes in PEFT: labels of first tokens, places of answers. */
const kinds = {
  TOKEN_CLS: {
    task: tokenClassification({ labels: tags }) as Task,
    examples: sentences as readonly unknown[],
    options: { labels: tags },
    async gold(task: Task, backbone: Backbone, { length }: TokenBatch) {
      const { targets } = task.targets(await task.encode(sentences, backbone.tokenizer, 32), {
        rows: Int32Array.from(sentences.keys()),
        length,
      }) as { targets: Tensor };
      // One-hot rows of the labelled tokens, positions outside; all zero where none counts.
      const [batch, classes] = [sentences.length, tags.length];
      const data = Array.from({ length: batch * length }, (_, i) => {
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
      start_positions: ints([2], [5, 4]),
      end_positions: ints([2], [6, 4]),
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
  let whole: WholeBatch;
  let place: PeftPlace;
  beforeAll(async () => {
    backbone = await backbones[architecture]();
    folder = await mkdtemp(join(tmpdir(), "ptuning-peft-heads-"));
    const { sequences } = await task.encode(examples, backbone.tokenizer, 32);
    whole = wholeBatch(sequences, backbone);
    const { batch } = whole;
    place = { backbone, batch, gold: await gold(task, backbone, batch), folder };
  });
  afterAll(async () => {
    await backbone.close();
    await rm(folder, { recursive: true });
  });

  const peft = async (mode: "load" | "train", path: string): Promise<number[][]> =>
    logitsOf(await askPeft(place, mode, path, "PREFIX_TUNING", taskType));

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
    const ours = await ourLogits(adapter, backbone, whole);
    expectNear(ours, logits);
    await adapter.save(back);
    expect(await tensorsIn(back)).toEqual(await tensorsIn(theirs));
    expect(await peft("load", back)).toEqual(logits);
    // Ours again, by way of our own file.
    await (await loadAdapter(back)).save(own);
    expect(await ourLogits(await loadAdapter(own), backbone, whole)).toEqual(ours);
  }, 300_000);

  test("labels that do not name the head's outputs are refused", async () => {
    await expect(loadAdapter(join(folder, "theirs"), { labels: ["O"] })).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringMatching(/^labels: expected [03] names, got 1\.$/),
    });
  });
});
