import { clipByBlockRms, type FactoredRmsOptions, scaleByFactoredRms } from "./adafactor.ts";
import { type EngineOptimizer, engineAdamW } from "./graphs.ts";
import type { Schedule, ScheduleName } from "./schedule.ts";
import {
  type AdamOptions,
  addDecayedWeights,
  chain,
  clipByGlobalNorm,
  type Decayed,
  type GradientTransform,
  type RateFactors,
  scaleByAdam,
  scaleByLearningRate,
} from "./transform.ts";

/** What every optimizer is told. */
export interface OptimizerOptions {
  readonly schedule: Schedule;
  readonly weightDecay?: number;
  /** Default: all. */
  readonly decayed?: Decayed;
  /** Greatest global norm of the gradients; default 1. */
  readonly clipNorm?: number;
  /** Default: the same rate for all. */
  readonly rateFactors?: RateFactors;
}

/** Settings of AdamW. */
export interface AdamWOptions extends OptimizerOptions, AdamOptions {}

/** AdamW as torch's: clipped gradients, Adam, decoupled decay, schedule. */
export function adamW(options: AdamWOptions): GradientTransform {
  const { schedule, weightDecay = 0, decayed, clipNorm = 1, rateFactors, ...adam } = options;
  return chain(
    clipByGlobalNorm(clipNorm),
    scaleByAdam(adam),
    addDecayedWeights(weightDecay, decayed),
    scaleByLearningRate(schedule, rateFactors),
  );
}

/** Settings of Adafactor. */
export interface AdafactorOptions extends OptimizerOptions, FactoredRmsOptions {
  /** Greatest root mean square of a tensor's update before the learning rate. Default 1. */
  readonly clipThreshold?: number;
}

/**
 * Adafactor without momentum and without parameter scaling, as flax's: weight decay does not depend on the
 * learning rate.
 */
export function adafactor(options: AdafactorOptions): GradientTransform {
  const {
    schedule,
    weightDecay = 0,
    decayed,
    clipNorm = 1,
    rateFactors,
    clipThreshold = 1,
    ...moments
  } = options;
  return chain(
    clipByGlobalNorm(clipNorm),
    scaleByFactoredRms(moments),
    clipByBlockRms(clipThreshold),
    scaleByLearningRate(schedule, rateFactors),
    addDecayedWeights(-weightDecay, decayed),
  );
}

/** Names of optimizers in configs. */
export type OptimizerName = "adamw" | "adafactor";

/** An optimizer by name, and the settings that suit it where they differ from those of the method. */
export interface OptimizerEntry {
  readonly defaults: {
    readonly learningRate?: number;
    readonly schedule?: ScheduleName;
    readonly weightDecay?: number;
  };
  make(options: OptimizerOptions): GradientTransform;
  /** The same as a graph; absent where it is not elementwise. */
  onEngine?(options: OptimizerOptions): EngineOptimizer;
}

/** Every optimizer. */
export const optimizers: { readonly [N in OptimizerName]: OptimizerEntry } = {
  adamw: { defaults: {}, make: adamW, onEngine: engineAdamW },
  // Lester et al. 2021: constant 0.3, decay 1e-5.
  adafactor: { defaults: { learningRate: 0.3, schedule: "constant", weightDecay: 1e-5 }, make: adafactor },
};

/** All optimizer names. */
export const optimizerNames: readonly OptimizerName[] = Object.keys(optimizers) as OptimizerName[];
