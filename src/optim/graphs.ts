import { floats, type TensorMap } from "../core/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import type { OptimizerOptions } from "./optimizer.ts";
import type { AdamOptions } from "./transform.ts";

/**
 * An optimizer whose update is a graph that the engine runs over the parameters, for parameters too many for loops on
 * the host. It computes what the transforms of the same name do, with the gradients' norm known beforehand.
 */
export interface EngineOptimizer {
  /** Elementwise: vectors `parameter`, `gradient` and {@link states}, and scalars, in; the rewritten vectors out. */
  readonly graph: Graph;
  /** What the optimizer remembers of each parameter, zero at first: graph inputs, named as in an `OptimizerState`. */
  readonly states: readonly string[];
  /** Graph output → graph input that it replaces. */
  readonly rewrites: Readonly<Record<string, string>>;
  /** The scalars of one update. @param updates number of updates before this one that the tensors took part in */
  feeds(
    step: number,
    gradientNorm: number,
    isDecayed: boolean,
    rateFactor?: number,
    updates?: number,
  ): TensorMap;
}

/** AdamW; see `adamW`. */
export function engineAdamW(options: OptimizerOptions & AdamOptions): EngineOptimizer {
  const { schedule, weightDecay = 0, clipNorm = 1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const b = new GraphBuilder("adamw");
  const vector = (name: string) => b.input(name, "float32", ["N"]);
  const scalar = (name: string) => b.input(name, "float32", []);
  const [parameter, gradient] = [vector("parameter"), vector("gradient")];
  const [m, v] = [vector("adam.m"), vector("adam.v")];
  const g = b.op("Mul", [gradient, scalar("clip")]);
  const blend = (old: typeof m, kept: number, fresh: typeof m): typeof m =>
    b.op("Add", [b.op("Mul", [old, b.scalar(kept)]), b.op("Mul", [fresh, b.scalar(1 - kept)])]);
  const nextM = blend(m, beta1, g);
  const nextV = blend(v, beta2, b.op("Mul", [g, g]));
  const root = b.op("Mul", [b.op("Sqrt", [nextV]), scalar("inverseRoot")]);
  const direction = b.op("Div", [nextM, b.op("Add", [root, b.scalar(epsilon)])]);
  const shrunk = b.op("Mul", [parameter, scalar("shrink")]);
  b.output("next parameter", b.op("Sub", [shrunk, b.op("Mul", [direction, scalar("stepSize")])]));
  b.output("next adam.m", nextM);
  b.output("next adam.v", nextV);
  return {
    graph: b.build(),
    states: ["adam.m", "adam.v"],
    rewrites: { "next parameter": "parameter", "next adam.m": "adam.m", "next adam.v": "adam.v" },
    feeds(step, gradientNorm, isDecayed, rateFactor = 1, updates = step) {
      const rate = schedule(step) * rateFactor;
      const single = (value: number) => floats([], [value]);
      return {
        clip: single(Math.min(1, clipNorm / (gradientNorm + 1e-6))),
        stepSize: single(rate / (1 - beta1 ** (updates + 1))),
        inverseRoot: single(1 / Math.sqrt(1 - beta2 ** (updates + 1))),
        shrink: single(isDecayed ? 1 - rate * weightDecay : 1),
      };
    },
  };
}

/** Σ x² over vectors `x`: the output `sum`. */
export function squaredNormGraph(): Graph {
  const b = new GraphBuilder("squared norm");
  const x = b.input("x", "float32", ["N"]);
  b.output("sum", b.sum(b.op("Mul", [x, x]), [0], 0));
  return b.build();
}

/** Vectors `x` + `y`: the output `next x`. */
export function sumGraph(): Graph {
  const b = new GraphBuilder("sum");
  const [x, y] = [b.input("x", "float32", ["N"]), b.input("y", "float32", ["N"])];
  b.output("next x", b.op("Add", [x, y]));
  return b.build();
}
