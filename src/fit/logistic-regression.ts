import { type MinimiseOptions, minimise } from "./minimise.ts";

/** Rows of numbers with few of them not zero (compressed sparse rows). */
export interface SparseRows {
  readonly rows: number;
  readonly columns: number;
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

/** Collects rows given as column → value. */
export function sparseRows(rows: readonly ReadonlyMap<number, number>[], columns: number): SparseRows {
  const starts = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries()) starts[i + 1] = starts[i]! + row.size;
  const indices = new Int32Array(starts[rows.length]!);
  const values = new Float64Array(starts[rows.length]!);
  let at = 0;
  for (const row of rows) {
    for (const [column, value] of row) {
      indices[at] = column;
      values[at++] = value;
    }
  }
  return { rows: rows.length, columns, starts, indices, values };
}

/** A fitted logistic regression. */
export interface LogisticRegression {
  /** `[columns + 1, classes]`; the last row are the intercepts. */
  readonly weights: Float64Array;
  /** Scores before the softmax, `[rows, classes]`. */
  decision(features: SparseRows): Float64Array;
}

/**
 * Multinomial logistic regression, minimising mean cross-entropy + |w|² / (2 · C · rows) (intercepts are free), by
 * L-BFGS until no slope is above `tolerance`: function and default of scikit-learn's `LogisticRegression`.
 */
export function fitLogisticRegression(
  features: SparseRows,
  labels: ArrayLike<number>,
  classes: number,
  options: FitOptions = {},
): LogisticRegression {
  const fitting = fitInSteps(features, labels, classes, options);
  for (;;) {
    const { done, value } = fitting.next();
    if (done) return value;
  }
}

/** How a fit is made. */
interface FitOptions extends MinimiseOptions {
  readonly C?: number;
  /** Weights to go on from, as those of a neighbouring `C`. */
  readonly start?: Float64Array | undefined;
}

/** The same iteration by iteration, so that others get a turn between two. */
export function* fitInSteps(
  features: SparseRows,
  labels: ArrayLike<number>,
  classes: number,
  { C = 1, start, ...options }: FitOptions,
): Generator<void, LogisticRegression> {
  const { rows, columns, starts, indices, values } = features;
  const penalty = 1 / (C * rows);
  // Classes of a column lie side by side; the last column is the intercept's.
  const size = (columns + 1) * classes;
  const objective = (w: Float64Array, gradient: Float64Array): number => {
    const scores = decide(features, w, classes);
    let value = 0;
    for (let j = 0; j < columns * classes; j++) {
      value += 0.5 * penalty * w[j]! * w[j]!;
      gradient[j] = penalty * w[j]!;
    }
    gradient.fill(0, columns * classes);
    for (let row = 0; row < rows; row++) {
      const errors = scores.subarray(row * classes, (row + 1) * classes);
      value += softmaxLoss(errors, labels[row]!) / rows;
      for (let k = 0; k < classes; k++) errors[k]! /= rows;
      for (let i = starts[row]!; i < starts[row + 1]!; i++) {
        const [base, x] = [indices[i]! * classes, values[i]!];
        for (let k = 0; k < classes; k++) gradient[base + k]! += errors[k]! * x;
      }
      for (let k = 0; k < classes; k++) gradient[columns * classes + k]! += errors[k]!;
    }
    return value;
  };
  const search = minimise(start?.slice() ?? new Float64Array(size), options);
  let next = search.next();
  while (!next.done) {
    yield;
    next = search.next(objective(next.value.x, next.value.gradient));
  }
  const weights = next.value;
  return { weights, decision: (others) => decide(others, weights, classes) };
}

/** Cross-entropy of one row's scores, which turn into its slopes: softmax less the gold class. */
function softmaxLoss(scores: Float64Array, gold: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const score of scores) if (score > largest) largest = score;
  let total = 0;
  for (const score of scores) total += Math.exp(score - largest);
  const loss = largest + Math.log(total) - scores[gold]!;
  for (let k = 0; k < scores.length; k++) scores[k] = Math.exp(scores[k]! - largest) / total;
  scores[gold]! -= 1;
  return loss;
}

function decide(features: SparseRows, weights: Float64Array, classes: number): Float64Array {
  const { rows, columns, starts, indices, values } = features;
  const scores = new Float64Array(rows * classes);
  for (let row = 0; row < rows; row++) {
    const at = row * classes;
    for (let k = 0; k < classes; k++) scores[at + k] = weights[columns * classes + k]!;
    for (let i = starts[row]!; i < starts[row + 1]!; i++) {
      const [base, x] = [indices[i]! * classes, values[i]!];
      for (let k = 0; k < classes; k++) scores[at + k]! += weights[base + k]! * x;
    }
  }
  return scores;
}
