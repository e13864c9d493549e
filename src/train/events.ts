import type { Adapter } from "../adapters/index.ts";
import type { Scores } from "../metrics/index.ts";
import type { Inventory } from "../model/index.ts";
import type { ResolvedSettings } from "./options.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";

/** The run is set up. */
export interface StartEvent {
  readonly type: "start";
  readonly inventory: Inventory;
  readonly settings: ResolvedSettings;
  readonly examples: { readonly train: number; readonly dev: number };
  readonly truncated: { readonly train: number; readonly dev: number };
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Updates that a resumed run had done. */
  readonly startStep: number;
  readonly engine: string;
}

/** One update was made. */
export interface StepEvent {
  readonly type: "step";
  /** Updates done, this one included. */
  readonly step: number;
  /** Epoch, from 1. */
  readonly epoch: number;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly examples: number;
  /** Real tokens, padding not counted. */
  readonly tokens: number;
  readonly seconds: number;
  /** Of these, spent waiting for the batch to be made. */
  readonly dataSeconds: number;
}

/** The dev set was scored. */
export interface EvaluationEvent extends EvaluationRecord {
  readonly type: "evaluation";
  /** Mean training loss since the evaluation before. */
  readonly trainLoss: number;
  /** Best so far. */
  readonly best: boolean;
  readonly seconds: number;
}

/** A state from which the run can be resumed; whoever wants that saves it. */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly state: TrainingState;
}

/** Something that the user should know; training goes on. */
export interface WarningEvent {
  readonly type: "warning";
  readonly code: "collapsed" | "truncated" | "data" | "frozen";
  readonly message: string;
}

/** The run ended by itself or was asked to. */
export interface DoneEvent {
  readonly type: "done";
  readonly reason: "finished" | "early" | "aborted";
  readonly step: number;
  /** The adapter of the best state, or of the last where there is no dev set. */
  readonly adapter: Adapter;
  readonly best: EvaluationRecord | undefined;
  /** After an int8 run: the adapter's dev scores with fp32 weights. */
  readonly exact?: Scores;
}

/** Everything that a run tells, in the order in which it happens. */
export type TrainEvent =
  | StartEvent
  | StepEvent
  | EvaluationEvent
  | CheckpointEvent
  | WarningEvent
  | DoneEvent;
