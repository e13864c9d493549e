export { type Schedule, type ScheduleFacts, type ScheduleName, schedule, scheduleNames } from "./schedule.ts";
export {
  type AdamOptions,
  type AdamWOptions,
  adamW,
  addDecayedWeights,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  type GradientTransform,
  globalNorm,
  type OptimizerState,
  scaleByAdam,
  scaleByLearningRate,
} from "./transform.ts";
