import type { DatasetOptions } from "../data/index.ts";
import type { NodeEngineOptions } from "../engine/index.ts";
import type { SequenceHeadOptions } from "../heads/index.ts";
import type { DeepPromptOptions, PromptTuningOptions, PTuningOptions } from "../methods/index.ts";
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

/** How the backbone is tuned: the name of a method, and its options. */
export type MethodConfig =
  | ({ readonly name: "p-tuning-v2" } & Omit<DeepPromptOptions, "preset">)
  | ({ readonly name: "prompt-tuning" } & Omit<PromptTuningOptions, "preset">)
  | ({ readonly name: "p-tuning" } & Omit<PTuningOptions, "preset">)
  | { readonly name: "fine-tuning" | "linear-probe" | "bitfit" };
