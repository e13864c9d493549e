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
  /** Class with the greatest score for each row. */
  predict(features: SparseRows): Int32Array;
  /** Scores before the softmax, `[rows, classes]`. */
  decision(features: SparseRows): Float64Array;
}

/**
 * Multinomial logistic regression, minimising C · Σ cross-entropy + ½ · |w|² (intercepts are free), as
 * scikit-learn's `LogisticRegression` does, by L-BFGS.
 */
export function fitLogisticRegression(
  features: SparseRows,
  labels: ArrayLike<number>,
  classes: number,
  {
    C = 1,
    maxIterations = 300,
    tolerance = 1e-5,
  }: { C?: number; maxIterations?: number; tolerance?: number } = {},
): LogisticRegression {
  const { columns } = features;
  const size = classes * (columns + 1);
  const objective = (w: Float64Array, gradient: Float64Array): number => {
    const scores = decide(features, w, classes);
    let value = 0;
    gradient.fill(0);
    for (let row = 0; row < features.rows; row++) {
      const own = scores.subarray(row * classes, (row + 1) * classes);
      const largest = own.reduce((a, b) => Math.max(a, b));
      const total = own.reduce((sum, x) => sum + Math.exp(x - largest), 0);
      value += C * (largest + Math.log(total) - own[labels[row]!]!);
      for (let k = 0; k < classes; k++) {
        const error = C * (Math.exp(own[k]! - largest) / total - (labels[row] === k ? 1 : 0));
        const base = k * (columns + 1);
        for (let i = features.starts[row]!; i < features.starts[row + 1]!; i++) {
          gradient[base + features.indices[i]!]! += error * features.values[i]!;
        }
        gradient[base + columns]! += error;
      }
    }
    for (let k = 0; k < classes; k++) {
      for (let j = k * (columns + 1); j < k * (columns + 1) + columns; j++) {
        value += 0.5 * w[j]! * w[j]!;
        gradient[j]! += w[j]!;
      }
    }
    return value;
  };
  const weights = minimise(objective, size, maxIterations, tolerance);
  return {
    decision: (rows) => decide(rows, weights, classes),
    predict(rows) {
      const scores = decide(rows, weights, classes);
      return Int32Array.from({ length: rows.rows }, (_, row) => {
        let best = 0;
        for (let k = 1; k < classes; k++)
          if (scores[row * classes + k]! > scores[row * classes + best]!) best = k;
        return best;
      });
    },
  };
}

function decide(features: SparseRows, weights: Float64Array, classes: number): Float64Array {
  const { columns } = features;
  const scores = new Float64Array(features.rows * classes);
  for (let row = 0; row < features.rows; row++) {
    for (let k = 0; k < classes; k++) {
      const base = k * (columns + 1);
      let sum = weights[base + columns]!;
      for (let i = features.starts[row]!; i < features.starts[row + 1]!; i++) {
        sum += weights[base + features.indices[i]!]! * features.values[i]!;
      }
      scores[row * classes + k] = sum;
    }
  }
  return scores;
}

type Objective = (x: Float64Array, gradient: Float64Array) => number;

/** Steps that L-BFGS remembers. */
const memory = 10;

/** L-BFGS with a backtracking line search (Nocedal and Wright, algorithm 7.5). */
function minimise(
  objective: Objective,
  size: number,
  maxIterations: number,
  tolerance: number,
): Float64Array {
  const dot = (a: Float64Array, b: Float64Array): number => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += a[i]! * b[i]!;
    return sum;
  };
  let x = new Float64Array(size);
  let gradient = new Float64Array(size);
  let value = objective(x, gradient);
  const history: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (gradient.reduce((worst, g) => Math.max(worst, Math.abs(g)), 0) < tolerance) break;
    const direction = gradient.map((g) => -g);
    const alphas = history.toReversed().map(({ s, y, rho }) => {
      const alpha = rho * dot(s, direction);
      for (let i = 0; i < size; i++) direction[i]! -= alpha * y[i]!;
      return alpha;
    });
    const last = history.at(-1);
    const scale = last ? 1 / (last.rho * dot(last.y, last.y)) : 1 / Math.sqrt(dot(gradient, gradient));
    for (let i = 0; i < size; i++) direction[i]! *= scale;
    for (const [j, { s, y, rho }] of history.entries()) {
      const beta = rho * dot(y, direction);
      const alpha = alphas[history.length - 1 - j]!;
      for (let i = 0; i < size; i++) direction[i]! += (alpha - beta) * s[i]!;
    }
    const slope = dot(gradient, direction);
    const nextGradient = new Float64Array(size);
    let step = 1;
    let next = x;
    let nextValue = value;
    for (let trial = 0; trial < 40; trial++) {
      next = x.map((xi, i) => xi + step * direction[i]!);
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * step * slope) break;
      step /= 2;
    }
    const s = next.map((ni, i) => ni - x[i]!);
    const y = nextGradient.map((g, i) => g - gradient[i]!);
    const curvature = dot(s, y);
    if (curvature > 1e-12) {
      history.push({ s, y, rho: 1 / curvature });
      if (history.length > memory) history.shift();
    }
    const improved = value - nextValue;
    [x, gradient, value] = [next, nextGradient, nextValue];
    if (improved <= 1e-12 * Math.max(1, Math.abs(value))) break;
  }
  return x;
}
