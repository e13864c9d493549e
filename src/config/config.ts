import type { DatasetOptions } from "../data/index.ts";
import type { NodeEngineOptions } from "../engine/index.ts";
import type { SequenceHeadOptions } from "../heads/index.ts";
import type { DeepPromptOptions } from "../methods/index.ts";
import type { TrainSettings } from "../train/index.ts";

/** Everything that a training run is told: the content of a YAML file. */
export interface RunConfig {
  /** Catalog name, hub id or folder. */
  readonly backbone: string;
  /** Settings of another implementation to start from, for method and head. */
  readonly preset?: "thudm" | "peft";
  readonly data: DataConfig;
  readonly task: TaskConfig;
  readonly method: MethodConfig;
  readonly training: TrainSettings;
  readonly engine: NodeEngineOptions;
  readonly report: ReportConfig;
  /** Run folder. */
  readonly output?: string;
}

/** Which files, and how they are read. */
export interface DataConfig extends Omit<DatasetOptions, "text" | "seed"> {
  readonly train: string;
  /** Guessed from the file where it is left out. */
  readonly text?: DatasetOptions["text"];
  readonly splitSeed: number;
}

/** What is learnt. */
export interface TaskConfig extends Omit<SequenceHeadOptions, "preset"> {
  readonly type: "text-classification";
  /** Weight of each label in the loss, or `balanced`: inverse to its frequency in train. */
  readonly classWeights?: "balanced" | Readonly<Record<string, number>>;
}

/** How the frozen backbone is tuned. */
export interface MethodConfig extends Omit<DeepPromptOptions, "preset"> {
  readonly name: "p-tuning-v2";
}

/** What a run folder gets beside its log and its result. */
export interface ReportConfig {
  readonly html: boolean;
  readonly tensorboard: boolean;
}
