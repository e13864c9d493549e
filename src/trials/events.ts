import type { EvaluationEvent, StartEvent, StepEvent, TrunkEvent, WarningEvent } from "../train/index.ts";
import type { TrialResult } from "./result.ts";
import type { Trial } from "./trial.ts";

/** What a trial's process tells while it runs. */
export type TrialTrainEvent = StartEvent | TrunkEvent | StepEvent | EvaluationEvent | WarningEvent;

/** A trial's process starts, or starts again. */
export interface TrialStartEvent {
  readonly type: "trial-start";
  readonly trial: Trial;
  /** Whether it goes on from a saved state. */
  readonly resumed: boolean;
}

/** An event of the training inside a trial. */
export interface TrialProgressEvent {
  readonly type: "trial-progress";
  readonly trial: Trial;
  readonly event: TrialTrainEvent;
}

/** A trial has its result. */
export interface TrialDoneEvent {
  readonly type: "trial-done";
  readonly trial: Trial;
  readonly result: TrialResult;
  /** False where the result was there before. */
  readonly ran: boolean;
}

/** Everything that running trials tells. */
export type TrialEvent = TrialStartEvent | TrialProgressEvent | TrialDoneEvent;
