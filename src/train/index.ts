export type {
  CheckpointEvent,
  DoneEvent,
  EvaluationEvent,
  StartEvent,
  StepEvent,
  TrainEvent,
  TrunkEvent,
  WarningEvent,
} from "./events.ts";
export { cachedPass } from "./memory.ts";
export type { ResolvedSettings, TrainOptions, TrainSettings } from "./options.ts";
export { resolveSettings, settingDefaults } from "./options.ts";
export {
  findLearningRate,
  type RangeTestOptions,
  type RateEvent,
  type RatePoint,
  type SuggestionEvent,
} from "./range-test.ts";
export { type EvaluationRecord, encodeState, readState, type TrainingState } from "./state.ts";
export { train } from "./train.ts";
