import { ClassificationMetrics, type FScore } from "../metrics/index.ts";
import type { Review, ReviewTable } from "./review.ts";

/**
 * What a report shows of examples with one label each: the confusion matrix, and the scores of every label.
 * @param answers numbers of the gold and of the predicted label of each example
 */
export function reviewLabels(
  labels: readonly string[],
  answers: readonly { readonly gold: number; readonly predicted: number }[],
): Pick<Review, "matrices" | "tables"> {
  const metrics = new ClassificationMetrics(labels.length);
  for (const { gold, predicted } of answers) metrics.add(predicted, gold);
  const counts = labels.map((_, gold) => labels.map((__, predicted) => metrics.count(gold, predicted)));
  return {
    matrices: [{ title: "Confusion matrix", labels, counts }],
    tables: [scoreTable("Labels", labels, metrics.perLabel())],
  };
}

/** Precision, recall and F1 of each of several things. */
export function scoreTable(title: string, names: readonly string[], scores: readonly FScore[]): ReviewTable {
  return {
    title,
    columns: ["", "gold", "precision", "recall", "F1"],
    rows: scores.map(({ support, precision, recall, f1 }, i) => [names[i]!, support, precision, recall, f1]),
  };
}
