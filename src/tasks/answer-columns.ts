/** Columns that tables of predictions have in common. */
import type { AnswerColumn, TableRow } from "./task.ts";

/** Digits of a probability or score in tables for people. */
export const scoreDigits = 4;

/**
 * The column of a class's probability. Its name is no other column's, whatever the class is called: of two classes because
 * their names differ, of all others because none is written like this.
 */
function classColumn(label: string): string {
  return `p(${label})`;
}

/** A column for the probability of each class. */
export function classColumns(labels: readonly string[]): AnswerColumn[] {
  return labels.map((label) => ({ title: classColumn(label), digits: scoreDigits }));
}

/** The cells of {@link classColumns}. */
export function classCells(probabilities: Readonly<Record<string, number>>): TableRow {
  return Object.fromEntries(
    Object.entries(probabilities).map(([label, probability]) => [classColumn(label), probability]),
  );
}
