import type { Adapter } from "../adapters/index.ts";
import type { Scores } from "../metrics/index.ts";
import type { Inventory } from "../model/index.ts";
import type { Evaluation } from "../tasks/index.ts";
import type { ResolvedSettings } from "./options.ts";
import type { EvaluationRecord, TrainingState } from "./state.ts";

/** One of several tasks of a run. */
export interface TaskFacts {
  readonly type: string;
  readonly examples: { readonly train: number; readonly dev: number };
  /** Its updates in the whole run. */
  readonly steps: number;
  /** Its score in the mean that decides. */
  readonly selectBy: string;
}

/** The run is set up. */
export interface StartEvent {
  readonly type: "start";
  readonly inventory: Inventory;
  readonly settings: ResolvedSettings;
  readonly examples: { readonly train: number; readonly dev: number };
  readonly truncated: { readonly train: number; readonly dev: number };
  /** Of a run of several tasks, by name. */
  readonly tasks?: Readonly<Record<string, TaskFacts>>;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Updates that a resumed run had done. */
  readonly startStep: number;
  readonly engine: string;
  /** Examples per pass, and the bytes that the process is estimated to reach. */
  readonly memory: { readonly microBatchSize: number; readonly estimatedBytes: number };
}

/** The layers beneath the lowest prompt were computed once for every text; their output is read in every epoch. */
export interface TrunkEvent {
  readonly type: "trunk";
  /** Lowest layers that are not computed again; 0 where training reaches the lowest one. */
  readonly layers: number;
  readonly numLayers: number;
  readonly place: "memory" | "file";
  readonly bytes: number;
  readonly dtype: "float32" | "float16";
  /** Rates of the dropout that is left out in these layers. */
  readonly droppedOut: { readonly hidden: number; readonly attention: number };
  readonly seconds: number;
}

/** One update was made. */
export interface StepEvent {
  readonly type: "step";
  /** Updates done, this one included. */
  readonly step: number;
  /** Epoch, from 1. */
  readonly epoch: number;
  /** The task that it was of, where there are several. */
  readonly task?: string;
  readonly loss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly examples: number;
  /** Real tokens, padding not counted. */
  readonly tokens: number;
  readonly seconds: number;
  /** Of these, lost because the next batch was not made yet when the engine was done; at most. */
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

/**
 * A state from which the run can be resumed; whoever wants that takes it while the event is handled: the run waits for
 * what was begun, and refuses later calls with RUN_INVALID.
 */
export interface CheckpointEvent {
  readonly type: "checkpoint";
  /** Updates done. */
  readonly step: number;
  /** A copy, the caller's own. */
  state(): Promise<TrainingState>;
  /**
   * Writes the state to a file, which appears as a whole; there is no second copy in memory.
   * @throws STORAGE_FULL if the disk is full; the old file is kept
   */
  save(path: string): Promise<void>;
}

/** The linear layer of a head was fitted, in place of updates or behind them; then dev says which of the two is kept. */
export interface RefitEvent {
  readonly type: "refit";
  /** Whose head, where there are several tasks. */
  readonly task?: string;
  /** Training sequences that it was fitted on, and numbers that it reads of each. */
  readonly rows: number;
  readonly features: number;
  /** Inverse strength of the penalty that cross-validation chose. */
  readonly strength: number;
  /** Whether what follows is of training rows that short runs left out in turns, not of a dev set. */
  readonly leftOut?: boolean;
  /** Evaluations of the head that was trained, if one was, and of the one that was fitted, if there are rows that can tell. */
  readonly trained?: Evaluation;
  readonly fitted?: Evaluation;
  /** Of one that was fitted on the vectors of the tuned and of the untouched backbone side by side, where it was offered. */
  readonly blended?: Evaluation;
  /** The score that decides, or `loss`. */
  readonly selectBy: string;
  /** Whether a fitted one is kept, of the two or three. */
  readonly taken: boolean;
  /** Which one is kept. */
  readonly kept: "trained" | "fitted" | "blended";
  readonly seconds: number;
}

/** An update of one of the short runs whose left-out rows decide where there is no dev set. */
export interface FoldEvent {
  readonly type: "fold";
  /** From 1. */
  readonly fold: number;
  readonly folds: number;
  /** Updates of this short run that are done, and all of them. */
  readonly update: number;
  readonly updates: number;
  readonly loss: number;
  readonly seconds: number;
}

/** Something that the user should know; training goes on. */
export interface WarningEvent {
  readonly type: "warning";
  readonly code: "collapsed" | "truncated" | "data" | "frozen" | "unverified" | "tuned" | "probe" | "unused";
  readonly message: string;
}

/** The run ended by itself or was asked to. */
export interface DoneEvent<A = Adapter> {
  readonly type: "done";
  readonly reason: "finished" | "early" | "aborted";
  readonly step: number;
  /** The adapter of the best state, or of the last where there is no dev set. */
  readonly adapter: A;
  /** Its dev scores, with the head that is saved; of a small run without a dev set those of left-out rows. */
  readonly best: EvaluationRecord | undefined;
  /** A linear probe that dev or left-out rows like better, where there is one: an adapter of its own. */
  readonly alternative?: { readonly adapter: A; readonly evaluation: Evaluation };
  /** After a run whose frozen layers were rounded: the adapter's dev scores with fp32 weights. */
  readonly exact?: Scores;
}

/**
 * Everything that a run tells, in the order in which it happens.
 * @typeParam A what it ends with: an adapter of one task, or of several
 */
export type TrainEvent<A = Adapter> =
  | StartEvent
  | TrunkEvent
  | StepEvent
  | EvaluationEvent
  | CheckpointEvent
  | FoldEvent
  | RefitEvent
  | WarningEvent
  | DoneEvent<A>;
