export { type Schedule, type ScheduleFacts, type ScheduleName, schedule, scheduleNames } from "./schedule.ts";
export {
  type AdamWOptions,
  adamW,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  type GradientTransform,
  globalNorm,
  type OptimizerState,
} from "./transform.ts";
