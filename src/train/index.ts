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
export type { ResolvedSettings, TrainOptions, TrainSettings } from "./options.ts";
export { resolveSettings, settingDefaults } from "./options.ts";
export type { Start } from "./start.ts";
export {
  type EvaluationRecord,
  encodeState,
  readState,
  type StateOrigin,
  type TrainingState,
} from "./state.ts";
export { train } from "./train.ts";
