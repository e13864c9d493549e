/** The learning-rate range test of Smith 2017 (arXiv 1506.01186, section 3.3), with an exponentially rising rate. */
import { PtuningError } from "../core/index.ts";
import type { WarningEvent } from "./events.ts";
import { type AnyTrainOptions, type NamedTask, resolveSettings, tasksOf } from "./options.ts";
import { train } from "./train.ts";

/** How a range test is made. */
export interface RangeTestOptions {
  /** Updates. Default 100. */
  readonly steps?: number;
  /** Rate of the first update. Default: a thousandth of the run's. */
  readonly lowest?: number;
  /** Rate of the last update. Default: a hundred times the run's. */
  readonly highest?: number;
}

/** One update of a range test. */
export interface RateEvent {
  readonly type: "rate";
  /** Updates done, this one included. */
  readonly step: number;
  readonly learningRate: number;
  /** Loss of the batch before this update. */
  readonly loss: number;
}

/** A rate, and the loss around it. */
export interface RatePoint {
  readonly learningRate: number;
  /** Averaged over neighbouring updates. */
  readonly loss: number;
}

/** What a range test found. */
export interface SuggestionEvent {
  readonly type: "suggestion";
  /**
   * The geometric mean of the two below; absent where the loss never falls. On MiniLM the first alone is low for the
   * settings that measure best, and the second is the last that works.
   */
  readonly learningRate?: number;
  /** The rate at which the loss falls fastest. */
  readonly steepestAt?: number;
  /** The rate at which the loss is lowest: above it training gets worse. */
  readonly lowestAt: number;
  /** Whether the test ended before its last update, as the loss ran away. */
  readonly diverged: boolean;
  readonly curve: readonly RatePoint[];
}

/** Range of a test around the rate of the run: from clearly too low to clearly too high. */
const [below, above] = [1e-3, 1e2];

/** Weight of an update's loss in the averages of its neighbours, per step between them. */
const kept = 0.8;

/** A loss of so many times the lowest has run away. */
const divergence = 4;

/** Updates before a loss can count as the lowest: the first averages are of few. */
const settledSteps = 5;

/**
 * Trains with a rate that rises exponentially from update to update, until the loss runs away, and suggests a
 * rate. The parameters start as those of the run would, and are forgotten. Equal options give equal curves.
 *
 * @throws OPTION_INVALID if the range is none, whatever {@link train} throws before its first step, and the reason of the
 *   signal
 * @example
 * for await (const event of findLearningRate({ backbone, task, data, method: deepPrompt() })) {
 *   if (event.type === "suggestion") console.log(event.learningRate);
 * }
 */
export async function* findLearningRate(
  options: AnyTrainOptions,
  { steps = 100, ...range }: RangeTestOptions = {},
): AsyncGenerator<WarningEvent | RateEvent | SuggestionEvent> {
  const { backbone, method } = options;
  const [{ task }] = tasksOf(options) as [NamedTask];
  const { learningRate } = resolveSettings(options, { backbone, method, head: task.head });
  const { lowest = below * learningRate, highest = above * learningRate } = range;
  if (!Number.isInteger(steps) || steps < 2) {
    throw new PtuningError("OPTION_INVALID", `steps: expected a whole number above 1, got ${steps}.`);
  }
  if (!(lowest > 0 && highest > lowest && Number.isFinite(highest))) {
    throw new PtuningError(
      "OPTION_INVALID",
      `range: expected 0 < lowest < highest, got ${lowest} and ${highest}.`,
    );
  }
  const rateAt = (step: number): number => lowest * (highest / lowest) ** (step / (steps - 1));
  const points: RatePoint[] = [];
  const hasRunAway = runawayWatch();
  let diverged = false;
  try {
    for await (const event of train({
      ...withoutDev(options),
      // As many epochs as there are updates are enough, whatever an item is.
      epochs: steps,
      evaluateEvery: Number.MAX_SAFE_INTEGER,
      checkpointSeconds: Number.MAX_SAFE_INTEGER,
      rateAt,
    })) {
      // A signal that ends the run ends the test: half of a curve suggests nothing.
      if (event.type === "done") options.signal?.throwIfAborted();
      if (event.type === "warning") yield event;
      if (event.type !== "step") continue;
      const { step, loss, learningRate: rate } = event;
      points.push({ learningRate: rate, loss });
      yield { type: "rate", step, learningRate: rate, loss };
      diverged = hasRunAway(loss);
      if (diverged || points.length === steps) break;
    }
  } catch (error) {
    if (!(error instanceof PtuningError && error.code === "TRAINING_DIVERGED")) throw error;
    diverged = true;
  }
  yield { type: "suggestion", ...suggest(points), diverged };
}

function withoutDev(options: AnyTrainOptions): AnyTrainOptions {
  if ("data" in options) return { ...options, data: { ...options.data, dev: [] } };
  const tasks = Object.entries(options.tasks).map(([name, one]) => [
    name,
    { ...one, data: { ...one.data, dev: [] } },
  ]);
  return { ...options, tasks: Object.fromEntries(tasks) };
}

/** A mean in which every value weighs {@link kept} times what the one after it does. */
class NearMean {
  #sum = 0;
  #weight = 0;

  add(value: number): { readonly sum: number; readonly weight: number } {
    this.#sum = kept * this.#sum + value;
    this.#weight = kept * this.#weight + 1;
    return { sum: this.#sum, weight: this.#weight };
  }
}

/** Told one loss after another; whether their mean up to now is a multiple of the lowest before. */
function runawayWatch(): (loss: number) => boolean {
  const mean = new NearMean();
  let [count, lowest] = [0, Number.POSITIVE_INFINITY];
  return (loss) => {
    const { sum, weight } = mean.add(loss);
    if (count++ < settledSteps) return false;
    lowest = Math.min(lowest, sum / weight);
    return sum / weight > divergence * lowest;
  };
}

/** The mean loss around each update, weighted by nearness. */
function smoothed(points: readonly RatePoint[]): number[] {
  const [before, after] = [new NearMean(), new NearMean()];
  const upTo = points.map(({ loss }) => before.add(loss));
  const from = points.toReversed().map(({ loss }) => after.add(loss));
  return points.map(({ loss }, i) => {
    const [left, right] = [upTo[i]!, from.at(-1 - i)!];
    return (left.sum + right.sum - loss) / (left.weight + right.weight - 1);
  });
}

function suggest(points: readonly RatePoint[]): Omit<SuggestionEvent, "type" | "diverged"> {
  const losses = smoothed(points);
  const curve = points.map(({ learningRate }, i) => ({ learningRate, loss: losses[i]! }));
  const lowest = curve.reduce((best, point, i) => (point.loss < curve[best]!.loss ? i : best), 0);
  let [steepest, fall] = [-1, 0];
  // Rates are equally far apart on a log scale: differences are slopes there.
  for (let i = 1; i <= lowest; i++) {
    const change = curve[i - 1]!.loss - curve[i]!.loss;
    if (change > fall) [steepest, fall] = [i, change];
  }
  const lowestAt = curve[lowest]!.learningRate;
  if (steepest < 0) return { lowestAt, curve };
  const steepestAt = curve[steepest]!.learningRate;
  return { learningRate: Math.sqrt(steepestAt * lowestAt), steepestAt, lowestAt, curve };
}
