/** Words, roles and answers, learnt by a tiny backbone: the same before saving and after, alone and among others. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AnswerExample, RoleExample, TokenExample } from "ptuning/data";
import { type Adapter, loadAdapter } from "ptuning/internal/adapters";
import type { Backbone } from "ptuning/internal/backbones";
import { Rng } from "ptuning/internal/core";
import { createPredictor } from "ptuning/internal/predict";
import type { TrainOptions } from "ptuning/internal/train";
import { questionAnswering, semanticRoles, spanLabels, type Task, tokenClassification } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
let folder: string;
beforeAll(async () => {
  backbone = await tinyBackbone();
  folder = await mkdtemp(join(tmpdir(), "ptuning-spans-"));
});
afterAll(async () => {
  await backbone.close();
  await rm(folder, { recursive: true });
});

const filler = (rng: Rng, count: number): string[] =>
  Array.from({ length: count }, () => `w${10 + rng.integer(20)}`);

/** `w0` begins an A that the next word ends; `w1` is a B. */
function tokenExamples(count: number, seed: number): TokenExample[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const [before, inside, after] = [1, 1, 1].map((more) => filler(rng, more + rng.integer(3)));
    return {
      words: [...before!, "w0", ...inside!, "w1", ...after!],
      tags: [
        ...before!.map(() => "O"),
        ...["U-A", ...inside!.map(() => "O")],
        ...["U-B", ...after!.map(() => "O")],
      ],
    };
  });
}

/** `w0` is the predicate, `w2` its ARG0, `w3` its ARG1. */
function roleExamples(count: number, seed: number): RoleExample[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, () => {
    const words = rng.shuffle([...filler(rng, 1 + rng.integer(3)), "w0", "w2", "w3"]);
    const tags: Record<string, string> = { w0: "B-V", w2: "B-ARG0", w3: "B-ARG1" };
    return { words, predicate: words.indexOf("w0"), tags: words.map((word) => tags[word] ?? "O") };
  });
}

/** The answer is what stands between `w0` and `w1`; without them there is none. */
function answerExamples(count: number, seed: number): AnswerExample[] {
  const rng = new Rng(seed);
  return Array.from({ length: count }, (_, i) => {
    const [before, after] = [filler(rng, 2 + rng.integer(9)), filler(rng, 2 + rng.integer(9))];
    const inside = `w${2 + rng.integer(4)}`;
    const isAnswered = rng.integer(4) > 0;
    const context = [...before, ...(isAnswered ? ["w0", inside, "w1"] : []), ...after].join(" ");
    const start = context.indexOf(`${inside} w1`);
    return {
      ...{ id: String(i), question: "w9 w8", context },
      answers: isAnswered ? [{ text: inside, start }] : [],
    };
  });
}

const tokens = tokenExamples(96, 1);
const roles = roleExamples(96, 1);
const families = {
  "token classification": {
    task: tokenClassification({ labels: spanLabels(tokens), scheme: "BILOU" }) as Task,
    examples: tokenExamples,
    least: { f1: 0.9 },
  },
  "semantic roles, word": {
    task: semanticRoles({ labels: spanLabels(roles) }) as Task,
    examples: roleExamples,
    least: { f1WithoutV: 0.9, f1: 0.9 },
  },
  "semantic roles, token-type": {
    task: semanticRoles({ labels: spanLabels(roles), predicateMarking: "token-type" }) as Task,
    examples: roleExamples,
    least: { f1WithoutV: 0.9, f1: 0.9 },
  },
  "question answering": {
    task: questionAnswering({ answerless: true, stride: 6, nullThreshold: "tuned" }) as Task,
    examples: answerExamples,
    least: { f1: 0.8, hasAnswerF1: 0.7, noAnswerF1: 0.5 },
  },
};

/** Numbers and texts of a prediction, one after another. */
function leaves(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [value];
}

describe.each(Object.entries(families))("%s", (name, { task, examples, least }) => {
  let adapter: Adapter;
  const dev = examples(64, 2);
  const unlabelled = dev.map(({ tags, answers, ...rest }: { tags?: unknown; answers?: unknown }) => rest);
  const predict = async (from: Adapter, sets: readonly (readonly unknown[])[]): Promise<unknown[]> => {
    const predictor = await createPredictor(from, backbone, { precision: "fp32" });
    const predictions: unknown[] = [];
    for (const set of sets) predictions.push(...(await predictor.predict(set)));
    await predictor.close();
    return predictions;
  };

  test("learns, and the adapter scores what training saw", async () => {
    const data = { train: examples(192, 3), dev, test: [], labels: [], fingerprint: name, warnings: [] };
    const change = { task, data, epochs: 12, maxLength: 24, hiddenDropout: 0, attentionDropout: 0 };
    const events = await eventsOf(tinyOptions(backbone, change as Partial<TrainOptions>));
    const [done] = ofType(events, "done");
    const { scores } = done!.best!;
    expect(Object.keys(scores).sort()).toEqual([...task.scores].sort());
    for (const [score, value] of Object.entries(least)) expect(scores[score], score).toBeGreaterThan(value);
    adapter = done!.adapter;
    const predictor = await createPredictor(adapter, backbone, { precision: "fp32" });
    expect((await predictor.evaluate(dev)).scores).toEqual(scores);
    await predictor.close();
  });

  test("predicts the same after saving and loading", async () => {
    const path = join(folder, name);
    await adapter.save(path);
    const loaded = await loadAdapter(path);
    expect(loaded.task.options).toEqual(adapter.task.options);
    expect(await predict(loaded, [unlabelled])).toEqual(await predict(adapter, [unlabelled]));
  });

  test("predicts alone what it predicts among 32 others, to 1e-5", async () => {
    const some = unlabelled.slice(0, 32);
    const together = (await predict(adapter, [some])).map(leaves);
    const alone = (
      await predict(
        adapter,
        some.map((example) => [example]),
      )
    ).map(leaves);
    for (const [i, values] of alone.entries()) {
      expect(values).toHaveLength(together[i]!.length);
      for (const [k, value] of values.entries()) {
        if (typeof value === "number") expect(Math.abs(value - Number(together[i]![k]))).toBeLessThan(1e-5);
        else expect(value).toBe(together[i]![k]);
      }
    }
  });
});
