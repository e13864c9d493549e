import type { DataChecks } from "../checks/index.ts";
import type { ExampleText } from "../data/index.ts";
import type { Scores } from "../metrics/index.ts";
import type { Review } from "../tasks/index.ts";
import type { EvaluationEvent, EvaluationRecord, RefitEvent, StartEvent, StepEvent } from "../train/index.ts";

/** What a finished run came to: the content of its `result.json`. */
export interface RunResult {
  readonly reason: string;
  readonly steps: number;
  readonly seconds: number;
  /** The dev evaluation of the state that was kept. */
  readonly best?: EvaluationRecord | undefined;
  /** Dev scores with fp32 weights, after a run whose frozen layers were rounded. */
  readonly exact?: Scores;
  readonly test?: Scores;
  readonly baselines?: readonly { readonly name: string; readonly scores: Scores }[];
  readonly peakMemoryBytes: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly hardware: string;
}

/** What the log of a run tells, resumed or not, finished or not. */
export interface RunLog {
  /** The latest start; absent where nothing was logged. */
  readonly start?: StartEvent;
  readonly steps: readonly StepEvent[];
  readonly evaluations: readonly EvaluationEvent[];
  /** Heads that were fitted again, one of each task at most. */
  readonly refits?: readonly RefitEvent[];
  /** Messages, each once. */
  readonly warnings: readonly string[];
  /** What the log lacks, for people. */
  readonly problems?: readonly string[];
}

/** The dev examples as the kept state answers them. */
export interface ReviewedSplit {
  readonly review: Review;
  /** Where an example of the review stands, and its texts. */
  example(index: number): { readonly line?: number; readonly texts: readonly ExampleText[] };
}

/** What the report of a run shows of one task. */
export interface TaskReport {
  readonly dev?: ReviewedSplit;
  readonly checks?: DataChecks;
}

/** One of several tasks. */
export interface NamedTaskReport extends TaskReport {
  readonly name: string;
}

/** Everything that the report of a run shows. What is absent is left out, and `notes` say why. */
export interface RunReport extends RunLog, TaskReport {
  /** Name of the run. */
  readonly name: string;
  readonly task: string;
  /** Scores of which less is better. */
  readonly lowerIsBetter?: readonly string[];
  readonly result?: RunResult;
  /** Of a run of several tasks; `dev` and `checks` of the run itself are then absent. */
  readonly tasks?: readonly NamedTaskReport[];
  /** Settings by section: `method` → `promptLength` → 20. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly notes: readonly string[];
  /** When the report was made: an ISO date. */
  readonly createdAt: string;
  readonly version: string;
}
