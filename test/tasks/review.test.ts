import type { AnswerExample, TextExample } from "ptuning/data";
import { Rng } from "ptuning/internal/core";
import { openTokenizer } from "ptuning/internal/text";
import {
  type Encoded,
  multiLabelClassification,
  multipleChoice,
  questionAnswering,
  type Review,
  semanticRoles,
  sequenceClassification,
  type Task,
  textRegression,
  tokenClassification,
} from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { readGolden } from "../support/golden.ts";
import { tinyFolder } from "../support/tiny.ts";

interface Case {
  readonly labels: number;
  readonly gold: readonly number[];
  readonly predicted: readonly number[];
  readonly matrix: readonly (readonly number[])[];
  readonly rows: readonly (readonly number[])[];
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `label ${i}`);

/** A review of answers whose logits are 2 for the predicted label and 0 elsewhere, in passes of seven. */
async function review({
  labels,
  gold,
  predicted,
}: Pick<Case, "labels" | "gold" | "predicted">): Promise<Review> {
  const task = sequenceClassification({ labels: names(labels) });
  const examples = gold.map(
    (label): TextExample => ({ text: "w1", ...(label >= 0 && { label: `label ${label}` }) }),
  );
  const encoded = await task.encode(examples, await openTokenizer(tinyFolder), 8);
  const reviewer = task.reviewer!(encoded);
  for (let start = 0; start < gold.length; start += 7) {
    const rows = Int32Array.from(predicted.slice(start, start + 7), (_, i) => start + i).reverse();
    const logits = [...rows].flatMap((row) => names(labels).map((_, i) => (i === predicted[row] ? 2 : 0)));
    reviewer.add({ rows, length: 3, logits });
  }
  return reviewer.finish();
}

test("confusion matrix, precision, recall and F1 of each label are scikit-learn's", async () => {
  for (const golden of readGolden<Case[]>("label-review.json")) {
    const { matrices, tables } = await review(golden);
    expect(matrices).toEqual([
      { title: "Confusion matrix", labels: names(golden.labels), counts: golden.matrix },
    ]);
    const [{ rows }] = tables as [(typeof tables)[number]];
    expect(rows.map(([label]) => label)).toEqual(names(golden.labels));
    for (const [i, [, ...figures]] of rows.entries()) {
      for (const [j, figure] of figures.entries()) expect(figure).toBeCloseTo(golden.rows[i]![j]!, 12);
    }
  }
});

test("each example has its own loss, gold and predicted label; those without a gold label are left out", async () => {
  const { examples } = await review({ labels: 3, gold: [0, -1, 2], predicted: [0, 1, 1] });
  const rest = Math.log(Math.exp(2) + 2);
  expect(examples.toSorted((a, b) => a.index - b.index)).toEqual([
    { index: 0, loss: expect.closeTo(rest - 2, 6), gold: "label 0", predicted: "label 0" },
    { index: 2, loss: expect.closeTo(rest, 6), gold: "label 2", predicted: "label 1" },
  ]);
});

/** The review, the evaluation and the predictions of examples by random logits, one sequence a pass. */
async function byChance<E, N extends Encoded, P>(
  task: Task<E, N, P>,
  examples: readonly E[],
  outputs: (length: number) => number,
) {
  const encoded = await task.encode(examples, await openTokenizer(tinyFolder), 40);
  const { sequences } = encoded;
  const [reviewer, evaluator, decoder] = [
    task.reviewer!(encoded),
    task.evaluator(encoded),
    task.decoder(encoded),
  ];
  const rng = new Rng(3);
  for (let row = sequences.count - 1; row >= 0; row--) {
    const length = sequences.starts[row + 1]! - sequences.starts[row]!;
    const logits = Float32Array.from({ length: outputs(length) }, () => 2 * rng.normal());
    const pass = { rows: Int32Array.of(row), length, logits };
    for (const part of [reviewer, evaluator, decoder]) part.add(pass);
  }
  const { tables, matrices, scatters, examples: reviewed } = reviewer.finish();
  const sorted = reviewed.toSorted((a, b) => a.index - b.index);
  const loss = sorted.reduce((sum, example) => sum + example.loss, 0) / sorted.length;
  return {
    tables,
    matrices,
    scatters,
    reviewed: sorted,
    loss,
    evaluation: evaluator.result(),
    predictions: decoder.finish(),
  };
}

describe("other families: losses are those of the evaluation, answers those of the predictions", () => {
  test("multi-label", async () => {
    const task = multiLabelClassification({ labels: ["a", "b", "c"], threshold: 0.5 });
    const examples = [{ text: "w1", labels: ["c", "a"] }, { text: "w2", labels: [] }, { text: "w3" }];
    const { reviewed, loss, evaluation, predictions, tables } = await byChance(task, examples, () => 3);
    expect(reviewed.map(({ index, gold }) => [index, gold])).toEqual([
      [0, "a, c"],
      [1, "none"],
    ]);
    expect(reviewed.map(({ predicted }) => predicted)).toEqual(
      predictions.slice(0, 2).map(({ labels }) => labels.join(", ") || "none"),
    );
    expect(loss).toBeCloseTo(evaluation.loss, 5);
    expect(tables[0]!.rows.map(([label, gold]) => [label, gold])).toEqual([
      ["a", 1],
      ["b", 0],
      ["c", 1],
    ]);
  });

  test("regression", async () => {
    const examples = [{ text: "w1", score: 2.5 }, { text: "w2", score: 4 }, { text: "w3" }];
    const task = textRegression({ center: 3, scale: 2 });
    const { reviewed, loss, evaluation, predictions, scatters } = await byChance(task, examples, () => 1);
    // Passes come in any order, and points with them.
    const points = scatters![0]!.points.toSorted(([a], [b]) => a - b);
    expect(points).toEqual([
      [2.5, expect.closeTo(predictions[0]!.score, 9)],
      [4, expect.closeTo(predictions[1]!.score, 9)],
    ]);
    expect(reviewed.map(({ gold }) => gold)).toEqual(["2.50", "4.00"]);
    expect(reviewed.map(({ predicted }) => predicted)).toEqual(
      predictions.slice(0, 2).map(({ score }) => score.toFixed(2)),
    );
    expect(loss).toBeCloseTo(evaluation.loss, 5);
  });

  test("multiple choice", async () => {
    const examples = [
      { text: "w1", choices: ["w2", "w3", "w4"], label: 1 },
      { text: "w5", choices: ["w6", "w7"] },
      { text: "w8", choices: ["w9", "w10"], label: 0 },
    ];
    const { reviewed, loss, evaluation, predictions } = await byChance(multipleChoice(), examples, () => 1);
    expect(reviewed.map(({ index, gold }) => [index, gold])).toEqual([
      [0, "w3"],
      [2, "w9"],
    ]);
    expect(reviewed.map(({ index, predicted }) => predictions[index]!.text === predicted)).toEqual([
      true,
      true,
    ]);
    expect(loss).toBeCloseTo(evaluation.loss, 5);
  });

  test("words: spans as texts, scores of every type", async () => {
    const words = ["w1", "w2", "w3", "w4"];
    const examples = [
      { words, tags: ["B-X", "I-X", "O", "B-Y"], predicate: 3 },
      { words, tags: ["O", "O", "O", "O"], predicate: 0 },
    ];
    const labels = ["O", "B-X", "I-X", "B-Y", "I-Y"];
    const found = await byChance(
      tokenClassification({ labels }),
      examples,
      (length) => length * labels.length,
    );
    expect(found.reviewed.map(({ gold }) => gold)).toEqual(["X: w1 w2; Y: w4", "nothing"]);
    expect(found.reviewed.map(({ predicted }) => predicted)).toEqual(
      found.predictions.map(
        ({ entities }) => entities.map(({ type, text }) => `${type}: ${text}`).join("; ") || "nothing",
      ),
    );
    expect(found.loss).toBeCloseTo(found.evaluation.loss, 5);
    expect(found.tables[0]!.rows.map(([type, gold]) => [type, gold])).toEqual([
      ["X", 1],
      ["Y", 1],
    ]);
    const roles = await byChance(semanticRoles({ labels }), examples, (length) => length * labels.length);
    expect(roles.reviewed.map(({ gold }) => gold)).toEqual(["X: w1 w2; Y: w4", "nothing"]);
  });

  test("questions: the answer that is right is named, else all", async () => {
    const asked = (id: string, answers?: AnswerExample["answers"]): AnswerExample => ({
      ...{ id, question: "w1", context: "w2 w3 w4" },
      ...(answers && { answers }),
    });
    const examples = [
      asked("1", [
        { text: "w3", start: 3 },
        { text: "w3 w4", start: 3 },
      ]),
      asked("2", []),
      asked("3"),
    ];
    const { reviewed, loss, evaluation, predictions, matrices, tables } = await byChance(
      questionAnswering({ answerless: true }),
      examples,
      (length) => 2 * length,
    );
    expect(reviewed.map(({ index }) => index)).toEqual([0, 1]);
    expect(["w3", "w3 w4", "w3 / w3 w4"]).toContain(reviewed[0]!.gold);
    expect(reviewed[1]!.gold).toBe("no answer");
    expect(reviewed.map(({ predicted }) => predicted)).toEqual(
      predictions.slice(0, 2).map(({ text }) => text || "no answer"),
    );
    expect(loss).toBeCloseTo(evaluation.loss, 5);
    const given = predictions.slice(0, 2).map(({ text }) => text !== "");
    expect(matrices[0]!.counts).toEqual([
      [Number(given[0]), Number(!given[0])],
      [Number(given[1]), Number(!given[1])],
    ]);
    const { exactMatch, hasAnswerF1, noAnswerExactMatch } = evaluation.scores;
    const rows = new Map(tables[0]!.rows.map(([name, ...cells]) => [name, cells]));
    expect([...rows.keys()]).toEqual(["with an answer", "without", "“w1 …”"]);
    expect(rows.get("with an answer")![2]).toBeCloseTo(hasAnswerF1!, 9);
    expect(rows.get("without")![1]).toBeCloseTo(noAnswerExactMatch!, 9);
    expect(rows.get("“w1 …”")!.slice(0, 2)).toEqual([2, exactMatch]);
  });

  test("questions by how they begin: the most frequent, and others together", async () => {
    const starts = ["w1", "w1", ...Array.from({ length: 12 }, (_, i) => `w${i + 2}`)];
    const examples = starts.map((question, i) => ({
      ...{ id: `${i}`, question, context: "w20 w21" },
      answers: [{ text: "w20", start: 0 }],
    }));
    const { tables, matrices } = await byChance(questionAnswering(), examples, (length) => 2 * length);
    expect(matrices).toEqual([]);
    expect(tables[0]!.rows).toHaveLength(9);
    expect(tables[0]!.rows[0]!.slice(0, 2)).toEqual(["“w1 …”", 2]);
    expect(tables[0]!.rows.at(-1)!.slice(0, 2)).toEqual(["others", 5]);
  });
});
