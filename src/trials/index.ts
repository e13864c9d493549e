export { Channel } from "./channel.ts";
export type {
  TrialDoneEvent,
  TrialEvent,
  TrialProgressEvent,
  TrialStartEvent,
  TrialTrainEvent,
} from "./events.ts";
export { type Inputs, inputsOf, lookAtInputs } from "./inputs.ts";
export { defaultWorkers, localRunner, type RunTrialsOptions, runTrials, type TrialRunner } from "./pool.ts";
export {
  type FailedTrial,
  type FinishedTrial,
  isLasting,
  objective,
  readTrialResult,
  type TrialError,
  type TrialFigures,
  type TrialOrigin,
  type TrialResult,
  trialResultSchema,
  writeTrialResult,
} from "./result.ts";
export { type RunTrialOptions, runTrial } from "./run-trial.ts";
export { canonicalJson, defineTrial, type Trial, trialIdPattern } from "./trial.ts";
