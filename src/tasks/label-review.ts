import type { Review, ReviewTable } from "./review.ts";

/**
 * A review of examples with one label each: confusion matrix, precision, recall and F1 of every label.
 * @param answers per example: its number, the numbers of its gold and its predicted label, its loss
 */
export function reviewLabels(
  labels: readonly string[],
  answers: readonly {
    readonly index: number;
    readonly gold: number;
    readonly predicted: number;
    readonly loss: number;
  }[],
): Review {
  const counts = labels.map(() => labels.map(() => 0));
  for (const { gold, predicted } of answers) counts[gold]![predicted]!++;
  return {
    matrices: [{ title: "Confusion matrix", labels, counts }],
    tables: [labelTable(labels, counts)],
    examples: answers.map(({ index, gold, predicted, loss }) => ({
      index,
      loss,
      gold: labels[gold]!,
      predicted: labels[predicted]!,
    })),
  };
}

/** Scores of each label against all others; a score without a case to count is 0, as in scikit-learn. */
function labelTable(labels: readonly string[], counts: readonly (readonly number[])[]): ReviewTable {
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  return {
    title: "Labels",
    columns: ["label", "examples", "precision", "recall", "F1"],
    rows: labels.map((label, i) => {
      const hits = counts[i]![i]!;
      const gold = sum(counts[i]!);
      const predicted = sum(counts.map((row) => row[i]!));
      return [label, gold, ratio(hits, predicted), ratio(hits, gold), ratio(2 * hits, gold + predicted)];
    }),
  };
}
