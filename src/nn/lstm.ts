/** Legend: P steps, I input width, m hidden width. */
import type { GraphBuilder, Value } from "../graph/index.ts";

/** The tensors of one direction of an LSTM layer, gates in torch's order: input, forget, cell, output. */
export interface LstmWeights {
  /** `[4m, I]` */
  readonly inputWeight: Value;
  /** `[4m]` */
  readonly inputBias: Value;
  /** `[4m, m]` */
  readonly stateWeight: Value;
  /** `[4m]` */
  readonly stateBias: Value;
}

/**
 * An LSTM over the rows of one sequence (Hochreiter and Schmidhuber 1997, as `torch.nn.LSTM`), unrolled: made for
 * short sequences that are computed once per step.
 *
 * @param x `[P, I]`
 * @param backward reads the rows from the last to the first
 * @returns `[P, m]`, in the order of the rows
 */
export function lstm(b: GraphBuilder, x: Value, weights: LstmWeights, backward: boolean): Value {
  const { inputWeight, inputBias, stateWeight, stateBias } = weights;
  const steps = x.shape[0] as number;
  const projected = b.op("Gemm", [x, inputWeight, b.op("Add", [inputBias, stateBias])], { transB: 1 });
  const rows = b.ops("Split", steps, [projected, b.integers(new Array<number>(steps).fill(1))], { axis: 0 });
  const width = stateWeight.shape[1] as number;
  const sigmoid = (value: Value): Value => {
    const half = b.scalar(0.5);
    return b.op("Add", [b.op("Mul", [b.op("Tanh", [b.op("Mul", [value, half])]), half]), half]);
  };
  const outputs = new Array<Value>(steps);
  let [hidden, cell]: [Value | undefined, Value | undefined] = [undefined, undefined];
  for (let step = 0; step < steps; step++) {
    const at = backward ? steps - 1 - step : step;
    const gates: Value = hidden ? b.op("Gemm", [hidden, stateWeight, rows[at]], { transB: 1 }) : rows[at]!;
    const [input, forget, fresh, output] = b.ops(
      "Split",
      4,
      [gates, b.integers([width, width, width, width])],
      {
        axis: 1,
      },
    ) as [Value, Value, Value, Value];
    const added = b.op("Mul", [sigmoid(input), b.op("Tanh", [fresh])]);
    cell = cell ? b.op("Add", [b.op("Mul", [sigmoid(forget), cell]), added]) : added;
    hidden = b.op("Mul", [sigmoid(output), b.op("Tanh", [cell])]);
    outputs[at] = hidden;
  }
  return b.op("Concat", outputs, { axis: 0 });
}
