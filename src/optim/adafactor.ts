import { allocate, type Params, type Tensor } from "../core/index.ts";
import { type GradientTransform, type OptimizerState, stateless } from "./transform.ts";

/** Settings of the second moments of Adafactor. */
export interface FactoredRmsOptions {
  /** The moments of update t keep 1 − t^(−decayRate) of what they were. Default 0.8. */
  readonly decayRate?: number;
  /** Added to squared gradients. Default 1e-30. */
  readonly epsilon?: number;
  /** Matrices whose sides are both at least this long keep one moment per row and column only. Default 128. */
  readonly minFactored?: number;
}

/**
 * g / √v with second moments that, for large matrices, are kept by row and column (Shazeer and Stern 2018,
 * algorithm 4), as in flax's and optax's Adafactor, which the authors of prompt tuning used.
 */
export function scaleByFactoredRms(options: FactoredRmsOptions = {}): GradientTransform {
  const { decayRate = 0.8, epsilon = 1e-30, minFactored = 128 } = options;
  const isFactored = ({ shape }: Params[string]): boolean =>
    shape.length === 2 && Math.min(...shape) >= minFactored;
  return {
    init(params) {
      const state: Record<string, OptimizerState[string]> = {};
      for (const [name, parameter] of Object.entries(params)) {
        const { dtype, shape } = parameter;
        const zeros = (length: number): Tensor<"float32"> =>
          ({ dtype, shape: [length], data: allocate(dtype, length) }) as Tensor<"float32">;
        if (isFactored(parameter)) {
          state[`adafactor.rows.${name}`] = zeros(shape[0]!);
          state[`adafactor.columns.${name}`] = zeros(shape[1]!);
        } else {
          const { data } = zeros(parameter.data.length);
          state[`adafactor.v.${name}`] = { dtype, shape, data } as Tensor<"float32">;
        }
      }
      return state;
    },
    update(grads, state, params, step, updates = () => step) {
      for (const [name, { data }] of Object.entries(grads)) {
        const kept = 1 - (updates(name) + 1) ** -decayRate;
        if (isFactored(params[name]!)) {
          const rows = state[`adafactor.rows.${name}`]!.data;
          const columns = state[`adafactor.columns.${name}`]!.data;
          scaleByRowsAndColumns(data, rows, columns, kept, epsilon);
        } else {
          const v = state[`adafactor.v.${name}`]!.data;
          for (let i = 0; i < data.length; i++) {
            v[i] = kept * v[i]! + (1 - kept) * (data[i]! ** 2 + epsilon);
            data[i]! /= Math.sqrt(v[i]!);
          }
        }
      }
    },
  };
}

type Numbers = Float32Array | Float64Array;

/** g / √(r·c / mean(r)), where r and c are running means of g² over each row and column. */
function scaleByRowsAndColumns(
  grad: Numbers,
  rows: Numbers,
  columns: Numbers,
  kept: number,
  epsilon: number,
): void {
  const [height, width] = [rows.length, columns.length];
  const rowSums = new Float64Array(height);
  const columnSums = new Float64Array(width);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const square = grad[row * width + column]! ** 2 + epsilon;
      rowSums[row]! += square;
      columnSums[column]! += square;
    }
  }
  for (let row = 0; row < height; row++) rows[row] = kept * rows[row]! + ((1 - kept) * rowSums[row]!) / width;
  for (let column = 0; column < width; column++) {
    columns[column] = kept * columns[column]! + ((1 - kept) * columnSums[column]!) / height;
  }
  let mean = 0;
  for (const row of rows) mean += row / height;
  for (let row = 0; row < height; row++) {
    const scale = Math.sqrt(mean / rows[row]!);
    for (let column = 0; column < width; column++) {
      grad[row * width + column]! *= scale / Math.sqrt(columns[column]!);
    }
  }
}

/** Divides each tensor by max(1, rms / threshold), where rms is the root of its mean square. */
export function clipByBlockRms(threshold: number): GradientTransform {
  return stateless((grads) => {
    for (const { data } of Object.values(grads)) {
      let sum = 0;
      for (let i = 0; i < data.length; i++) sum += data[i]! ** 2;
      const excess = Math.sqrt(sum / data.length) / threshold;
      if (excess > 1) for (let i = 0; i < data.length; i++) data[i]! /= excess;
    }
  });
}
