import type { TextExample } from "ptuning/data";
import { type Review, sequenceClassification } from "ptuning/tasks";
import { openTokenizer } from "ptuning/text";
import { expect, test } from "vitest";
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
