/**
 * A head's linear layer as a regularised linear model: what it reads stays as it is, and the layer is the one that
 * minimises the task's own loss on it, with a penalty on its matrix. The engine computes loss and slopes, L-BFGS steps.
 *
 * Legend: B sequences, F features of each, C outputs.
 */
import { gradients } from "../autodiff/index.ts";
import { type Params, type Rng, type Tensor, type TensorMap, zeros } from "../core/index.ts";
import type { Engine, Session } from "../engine/index.ts";
import { type Graph, GraphBuilder } from "../graph/index.ts";
import { headBias, headWeight } from "../heads/index.ts";
import type { Encoded, Task } from "../tasks/index.ts";
import { itemCount, itemRows } from "../text/portable.ts";
import { minimise } from "./minimise.ts";

/** What a linear layer reads of some sequences. */
export interface Features {
  /** F. */
  readonly width: number;
  /** Numbers of the sequences, ascending. */
  readonly rows: Int32Array;
  /** `[rows.length, F]`. */
  readonly data: Float32Array;
}

/** What is minimised: the loss of a task, its class weights and all. */
export type FitTask = Pick<Task, "loss" | "targets" | "weight">;

/** What a readout is fitted on. */
export interface ReadoutData {
  readonly engine: Engine;
  readonly task: FitTask;
  readonly encoded: Encoded;
  readonly features: Features;
  /** Those that it is fitted on; left out, all that have features. */
  readonly items?: Int32Array;
  /** C. */
  readonly outputs: number;
  /** Draws the folds. */
  readonly rng: Rng;
  /** The inverse strength of the penalty; left out, cross-validation chooses it. */
  readonly strength?: number;
}

/** A fitted linear layer. */
export interface FittedReadout {
  /** `headWeight [C, F]` and `headBias [C]`, on the features as they were given. */
  readonly params: Params;
  /** Inverse strength of the penalty, as scikit-learn's C on standardised features. */
  readonly strength: number;
  /** Mean loss of rows that were left out, at that strength; not a number where nothing was left out. */
  readonly heldOutLoss: number;
}

/** Inverse strengths that are tried, from the strongest penalty to the weakest. */
const strengths = [1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1];

/** Where there is too little to leave some out. */
const usualStrength = 1e-2;

/** Parts of cross-validation; of many items fewer, as each part then tells enough. */
const foldsOf = (items: number): number => (items > 2000 ? 3 : 5);

/** Items that choose at most: the best strength changes little with more, as the penalty stays and the loss adds up. */
const mostChoosing = 6000;

/** Strengths beyond the best one, or the usual one, that are still tried. */
const patience = 2;

/** Floats of the engine gain nothing below. */
const fitting = { maxIterations: 200, tolerance: 1e-4, gain: 1e-6 } as const;
/** What tells strengths apart needs less. */
const choosing = { maxIterations: 60, tolerance: 1e-3, gain: 1e-4 } as const;

/**
 * Fits a linear layer: minimises Σ loss + |W|² / (2 · C) over the training items, where W is the matrix on features of
 * mean 0 and deviation 1; the bias is free. Which C, rows say that were left out in turns. The scaling is then folded
 * into matrix and bias, which changes no output.
 *
 * Everything that takes long is done by the engine, so one that throws when a signal aborts ends the fit.
 */
export async function fitReadout(data: ReadoutData): Promise<FittedReadout> {
  const { engine, task, encoded, features, outputs, rng } = data;
  const scaling = scalingOf(features);
  const items = data.items ?? coveredItems(encoded, features);
  const part = (some: Int32Array): Part => partOf(data, scaling, some);
  const start = new Float64Array((features.width + 1) * outputs);
  await using session = await engine.compile(objectiveGraph(task, features.width, outputs, true));
  let { strength } = data;
  let heldOutLoss = Number.NaN;
  const order = rng.split("folds").shuffle(items.slice()).subarray(0, mostChoosing);
  const count = Math.min(foldsOf(order.length), order.length);
  if (strength === undefined && count > 1) {
    await using scoring = await engine.compile(objectiveGraph(task, features.width, outputs, false));
    // Each fold goes on from where it was under a stronger penalty.
    const folds = Array.from({ length: count }, (_, fold) => ({ fold, x: start }));
    let bestAt = strengths.indexOf(usualStrength);
    for (const [i, C] of strengths.entries()) {
      let [sum, weight] = [0, 0];
      for (const one of folds) {
        const kept = part(order.filter((_, place) => place % count !== one.fold));
        const left = part(order.filter((_, place) => place % count === one.fold));
        // Sequences without a gold answer teach nothing, and tell nothing.
        if (kept.weight === 0 || left.weight === 0) continue;
        await session.bind(kept.feeds);
        one.x = await search(session, kept.weight, C, one.x, features.width, choosing);
        const { loss } = await scoring.run({ ...left.feeds, ...paramsOf(one.x, features.width) });
        sum += Number(loss!.data[0]);
        weight += left.weight;
      }
      if (weight === 0) break;
      if (!(sum / weight >= heldOutLoss)) {
        [strength, heldOutLoss] = [C, sum / weight];
        bestAt = Math.max(bestAt, i);
      }
      if (i - bestAt === patience) break;
    }
  }
  strength ??= usualStrength;
  const whole = part(items);
  await session.bind(whole.feeds);
  const x =
    whole.weight === 0
      ? start
      : await search(session, whole.weight, strength, start, features.width, fitting);
  return { params: unscaled(paramsOf(x, features.width), scaling), strength, heldOutLoss };
}

/** What a linear layer says of the sequence at a place among those that have features: `[C]`. */
export function linearOutputs(
  { [headWeight]: weight, [headBias]: bias }: Params,
  { width, data }: Features,
  place: number,
): Float64Array {
  return Float64Array.from(bias!.data, (free, c) => {
    let sum = free;
    for (let f = 0; f < width; f++) sum += weight!.data[c * width + f]! * data[place * width + f]!;
    return sum;
  });
}

/** The items all of whose sequences have features. */
function coveredItems(encoded: Encoded, { rows }: Features): Int32Array {
  const covered = new Set(rows);
  const all = Int32Array.from({ length: itemCount(encoded) }, (_, item) => item);
  return all.filter((item) => itemRows(encoded, Int32Array.of(item)).every((row) => covered.has(row)));
}

/** Mean and deviation of each feature; a feature that never changes has a deviation of 1. */
interface Scaling {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** Deviations below this share of a feature's size are rounding. */
const noise = 1e-6;

function scalingOf({ width, rows, data }: Features): Scaling {
  const [mean, deviation] = [new Float64Array(width), new Float64Array(width)];
  for (let at = 0; at < data.length; at += width) for (let f = 0; f < width; f++) mean[f]! += data[at + f]!;
  for (let f = 0; f < width; f++) mean[f]! /= rows.length;
  for (let at = 0; at < data.length; at += width) {
    for (let f = 0; f < width; f++) deviation[f]! += (data[at + f]! - mean[f]!) ** 2;
  }
  for (let f = 0; f < width; f++) {
    const found = Math.sqrt(deviation[f]! / rows.length);
    deviation[f] = found > noise * Math.abs(mean[f]!) ? found : 1;
  }
  return { mean, deviation };
}

/** Some items, as the graphs want them. */
interface Part {
  readonly feeds: TensorMap;
  /** Of all their sequences in the sum of losses. */
  readonly weight: number;
}

function partOf(
  { task, encoded, features: { width, rows, data } }: ReadoutData,
  scaling: Scaling,
  items: Int32Array,
): Part {
  const { mean, deviation } = scaling;
  const places = new Map(Array.from(rows, (row, place) => [row, place]));
  const own = itemRows(encoded, items);
  const scaled = new Float32Array(own.length * width);
  for (const [b, row] of own.entries()) {
    const from = places.get(row)! * width;
    for (let f = 0; f < width; f++) scaled[b * width + f] = (data[from + f]! - mean[f]!) / deviation[f]!;
  }
  const features: Tensor = { dtype: "float32", shape: [own.length, width], data: scaled };
  return {
    feeds: { [featuresInput]: features, ...task.targets(encoded, { rows: own, length: 1 }) },
    weight: task.weight(encoded, own),
  };
}

const featuresInput = "features";

/** Features, targets and the linear layer in; the loss summed over all items out, and its slopes if wanted. */
function objectiveGraph(task: FitTask, width: number, outputs: number, hasSlopes: boolean): Graph {
  const b = new GraphBuilder("readout");
  const x = b.input(featuresInput, "float32", ["B", width]);
  const weight = b.input(headWeight, "float32", [outputs, width]);
  const bias = b.input(headBias, "float32", [outputs]);
  const loss = task.loss(b, b.op("Gemm", [x, weight, bias], { transB: 1 }));
  b.output("loss", loss);
  if (hasSlopes) {
    const [ofWeight, ofBias] = gradients(b, loss, [weight, bias]);
    b.output(slopeOf(headWeight), ofWeight!);
    b.output(slopeOf(headBias), ofBias!);
  }
  return b.build();
}

const slopeOf = (name: string): string => `slope of ${name}`;

/** The layer as one vector, its matrix first, as tensors. */
function paramsOf(x: Float64Array, width: number): Record<string, Tensor<"float32">> {
  const outputs = x.length / (width + 1);
  const weight = Float32Array.from(x.subarray(0, outputs * width));
  const bias = Float32Array.from(x.subarray(outputs * width));
  return {
    [headWeight]: { dtype: "float32", shape: [outputs, width], data: weight },
    [headBias]: { dtype: "float32", shape: [outputs], data: bias },
  };
}

/** Minimises (Σ loss + |W|² / (2 · C)) / weight. @param session with the items bound */
async function search(
  session: Session,
  weight: number,
  C: number,
  start: Float64Array,
  width: number,
  options: typeof fitting | typeof choosing,
): Promise<Float64Array<ArrayBuffer>> {
  const matrix = (start.length / (width + 1)) * width;
  const steps = minimise(start.slice(), options);
  let next = steps.next();
  while (!next.done) {
    const { x, gradient } = next.value;
    const found = await session.run(paramsOf(x, width));
    gradient.set(found[slopeOf(headWeight)]!.data as Float32Array);
    gradient.set(found[slopeOf(headBias)]!.data as Float32Array, matrix);
    let value = Number(found.loss!.data[0]);
    for (let i = 0; i < matrix; i++) {
      value += (x[i]! * x[i]!) / (2 * C);
      gradient[i]! += x[i]! / C;
    }
    for (let i = 0; i < gradient.length; i++) gradient[i]! /= weight;
    next = steps.next(value / weight);
  }
  return next.value as Float64Array<ArrayBuffer>;
}

/** The same layer on features that are not scaled: W / σ, and the bias less W · μ / σ. */
function unscaled(
  { [headWeight]: weight, [headBias]: bias }: Record<string, Tensor<"float32">>,
  { mean, deviation }: Scaling,
): Params {
  const width = mean.length;
  const folded = { [headWeight]: zeros(weight!.shape), [headBias]: zeros(bias!.shape) };
  for (const [c, free] of bias!.data.entries()) {
    let sum = free;
    for (let f = 0; f < width; f++) {
      const w = weight!.data[c * width + f]! / deviation[f]!;
      folded[headWeight]!.data[c * width + f] = w;
      sum -= w * mean[f]!;
    }
    folded[headBias]!.data[c] = sum;
  }
  return folded;
}
