export { clipByBlockRms, type FactoredRmsOptions, scaleByFactoredRms } from "./adafactor.ts";
export { type EngineOptimizer, engineAdamW, squaredNormGraph, sumGraph } from "./graphs.ts";
export {
  type AdafactorOptions,
  type AdamWOptions,
  adafactor,
  adamW,
  type OptimizerEntry,
  type OptimizerName,
  type OptimizerOptions,
  optimizerNames,
  optimizers,
} from "./optimizer.ts";
export { type Schedule, type ScheduleFacts, type ScheduleName, schedule, scheduleNames } from "./schedule.ts";
export {
  type AdamOptions,
  addDecayedWeights,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  type Decayed,
  type GradientTransform,
  globalNorm,
  isDecayed,
  type OptimizerState,
  type RateFactors,
  scaleByAdam,
  scaleByLearningRate,
} from "./transform.ts";
