/** Where a function is to be computed: the value is the answer, its slopes go into `gradient`. */
export interface WantedPoint {
  readonly x: Float64Array;
  readonly gradient: Float64Array;
}

/** When a search ends. */
export interface MinimiseOptions {
  /** Default 300. */
  readonly maxIterations?: number;
  /** No slope is greater. Default 1e-4. */
  readonly tolerance?: number;
  /** A step that gains no more than this share of the value is the last. Default 1e-12. */
  readonly gain?: number;
}

/** Steps that L-BFGS remembers. */
const memory = 5;

/** Halvings of a step at most. */
const mostTrials = 40;

/**
 * L-BFGS with a backtracking line search (Nocedal and Wright, algorithm 7.5). It asks for values one by one, so whoever
 * computes them may take turns with others, or let an engine do it.
 *
 * @param start becomes the search's own
 * @returns the point with the least value
 */
export function* minimise(
  start: Float64Array,
  { maxIterations = 300, tolerance = 1e-4, gain = 1e-12 }: MinimiseOptions = {},
): Generator<WantedPoint, Float64Array, number> {
  const size = start.length;
  let x = start;
  let gradient = new Float64Array(size);
  let value = yield { x, gradient };
  const history: { s: Float64Array; y: Float64Array; rho: number }[] = [];
  for (let iteration = 0; iteration < maxIterations; iteration++) {
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
    for (let step = 1, trial = 0; trial < mostTrials; step /= 2, trial++) {
      next.set(x);
      addScaled(next, step, direction);
      nextValue = yield { x: next, gradient: nextGradient };
      if (nextValue <= value + 1e-4 * step * slope) break;
    }
    const improved = value - nextValue;
    // No step is better: rounding is greater than what there is to gain.
    if (!(improved > 0)) break;
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
    if (improved <= gain * Math.max(1, Math.abs(value))) break;
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
