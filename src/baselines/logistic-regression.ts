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
interface FitOptions {
  readonly C?: number;
  readonly maxIterations?: number;
  readonly tolerance?: number;
  /** Weights to go on from, as those of a neighbouring `C`. */
  readonly start?: Float64Array | undefined;
}

/** The same iteration by iteration, so that others get a turn between two. */
export function* fitInSteps(
  features: SparseRows,
  labels: ArrayLike<number>,
  classes: number,
  { C = 1, maxIterations = 300, tolerance = 1e-4, start }: FitOptions,
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
  const weights = yield* minimise(
    objective,
    start?.slice() ?? new Float64Array(size),
    maxIterations,
    tolerance,
  );
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

type Objective = (x: Float64Array, gradient: Float64Array) => number;

/** Steps that L-BFGS remembers. */
const memory = 5;

/** L-BFGS with a backtracking line search (Nocedal and Wright, algorithm 7.5). */
function* minimise(
  objective: Objective,
  start: Float64Array,
  maxIterations: number,
  tolerance: number,
): Generator<void, Float64Array> {
  const size = start.length;
  let x = start;
  let gradient = new Float64Array(size);
  let value = objective(x, gradient);
  const history: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    yield;
    if (gradient.every((g) => Math.abs(g) < tolerance)) break;
    // Two loops over what is remembered make minus the gradient into the direction.
    const direction = gradient.map((g) => -g);
    const alphas = history.toReversed().map(({ s, y, rho }) => {
      const alpha = rho * dot(s, direction);
      addScaled(direction, -alpha, y);
      return alpha;
    });
    const last = history.at(-1);
    const scale = last ? 1 / (last.rho * dot(last.y, last.y)) : 1 / Math.sqrt(dot(gradient, gradient));
    for (let i = 0; i < size; i++) direction[i]! *= scale;
    for (const [j, { s, y, rho }] of history.entries()) {
      addScaled(direction, alphas[history.length - 1 - j]! - rho * dot(y, direction), s);
    }
    const slope = dot(gradient, direction);
    const [next, nextGradient] = [new Float64Array(size), new Float64Array(size)];
    let nextValue = value;
    for (let step = 1, trial = 0; trial < 40; step /= 2, trial++) {
      next.set(x);
      addScaled(next, step, direction);
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * step * slope) break;
    }
    const improved = value - nextValue;
    // What leaves is not needed again: the step and the change of slope take its place.
    const [s, y] = [x, gradient];
    for (let i = 0; i < size; i++) {
      s[i] = next[i]! - s[i]!;
      y[i] = nextGradient[i]! - y[i]!;
    }
    [x, gradient, value] = [next, nextGradient, nextValue];
    const curvature = dot(s, y);
    if (curvature > 0) {
      history.push({ s, y, rho: 1 / curvature });
      if (history.length > memory) history.shift();
    }
    if (improved <= 1e-12 * Math.max(1, Math.abs(value))) break;
  }
  return x;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** `a += factor · b`. */
function addScaled(a: Float64Array, factor: number, b: Float64Array): void {
  for (let i = 0; i < a.length; i++) a[i]! += factor * b[i]!;
}
