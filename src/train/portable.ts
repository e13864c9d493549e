/** What needs no Node of this folder. */
export { decisiveScores, joinEvaluations, type TaskEvaluation } from "./evaluations.ts";
export type {
  CheckpointEvent,
  DoneEvent,
  EvaluationEvent,
  FoldEvent,
  RefitEvent,
  StartEvent,
  StepEvent,
  TaskFacts,
  TrainEvent,
  TrunkEvent,
  WarningEvent,
} from "./events.ts";
export { choosesOnLeftOut, isSmallData, smallData } from "./left-out.ts";
export { type Mix, mixTasks } from "./mix.ts";
export type {
  AnyTrainOptions,
  MultiTaskOptions,
  ResolvedSettings,
  TrainedTask,
  TrainOptions,
} from "./options.ts";
export { resolveSettings } from "./options.ts";
export { cutPasses } from "./passes.ts";
export {
  findLearningRate,
  type RangeTestOptions,
  type RateEvent,
  type RatePoint,
  type SuggestionEvent,
} from "./range-test.ts";
export { type Sampling, settingDefaults, type TrainSettings, trainSettings } from "./settings.ts";
export type { Start } from "./start.ts";
export {
  type EvaluationRecord,
  encodeState,
  parseState,
  type ReadableState,
  readableState,
  type StateFacts,
  type StateOrigin,
  type TrainingState,
} from "./state.ts";
export { train } from "./train.ts";
