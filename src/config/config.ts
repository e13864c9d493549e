import type { DatasetOptions } from "../data/index.ts";
import type { NodeEngineOptions } from "../engine/index.ts";
import type { Start, TrainedTask, TrainSettings } from "../train/index.ts";

/** What a training run is told, whatever it learns. */
export interface SharedConfig {
  /** Catalog name, hub id or folder. */
  readonly backbone: string;
  /** Settings of another implementation to start from, for method and head. */
  readonly preset?: "thudm" | "peft";
  readonly method: MethodConfig;
  /** What another run left, to start from. */
  readonly start?: StartConfig;
  readonly training: TrainSettings;
  readonly engine: NodeEngineOptions;
  readonly report: ReportConfig;
  /** Run folder. */
  readonly output?: string;
  /** What a sweep tries beside what stands above. */
  readonly search?: SearchConfig;
}

/** A search over keys of a configuration. */
export interface SearchConfig {
  readonly strategy?: "grid" | "random" | "halving";
  readonly preset?: "p-tuning-v2";
  /** By dotted key: `{ "training.learningRate": { logUniform: [1e-4, 1e-1] } }`. */
  readonly space: Readonly<Record<string, SearchParameter>>;
  /** Trials at most. */
  readonly runs?: number;
  /** No trial begins after so many minutes of searching. */
  readonly minutes?: number;
  /** Seed of what is drawn. */
  readonly seed: number;
  readonly halving?: HalvingConfig;
}

/** The values of a key: choices, or a range. */
export type SearchParameter = readonly unknown[] | SearchRange;

/** Numbers between two ends, both included. */
export interface SearchRange {
  readonly uniform?: readonly [low: number, high: number];
  /** Uniform by the logarithm. */
  readonly logUniform?: readonly [low: number, high: number];
  /** Drawn numbers become multiples of it. */
  readonly step?: number;
  /** Numbers that a grid takes from the range. */
  readonly points?: number;
}

/** Successive halving: many configurations with little of a resource, the best of them with more. */
export interface HalvingConfig {
  /** Key of the resource. */
  readonly resource: string;
  readonly least: number;
  readonly most: number;
  /** From rung to rung the resource grows by it, and the number of configurations falls by it. */
  readonly factor: number;
  /** Configurations to begin with. */
  readonly configurations?: number;
}

/** Everything that a training run is told: the content of a YAML file. */
export interface RunConfig extends SharedConfig {
  readonly data: DataConfig;
  readonly task: TaskConfig;
}

/** Everything that a run of several tasks on one prompt is told. */
export interface MultiTaskConfig extends SharedConfig {
  /** By the names of their heads. */
  readonly tasks: Readonly<Record<string, TaskEntry>>;
}

/** One of several tasks. */
export interface TaskEntry extends Pick<TrainedTask, "weight" | "selectBy"> {
  readonly data: DataConfig;
  readonly task: TaskConfig;
}

/** A run of one task or of several. */
export type AnyRunConfig = RunConfig | MultiTaskConfig;

/** Which files, and how they are read. What is left out is guessed from the training file. */
export interface DataConfig extends Omit<DatasetOptions, "seed" | "kind"> {
  /** One file or folder, or several. */
  readonly train: string | readonly string[];
  /** Seed of the test and dev split. */
  readonly splitSeed: number;
  /** Seed of what `limit` and `shots` draw. Default `splitSeed`. */
  readonly sampleSeed?: number;
  /** Train on this many examples, drawn at random. */
  readonly limit?: number;
  /** Train on so many examples per label, drawn at random; see `drawShots`. */
  readonly shots?: number;
}

/** What is learnt: a task family and its settings. Without a type it is what the data looks like. */
export interface TaskConfig {
  readonly type?: string | undefined;
  readonly [setting: string]: unknown;
}

/** How the backbone is tuned: the name of a method, and its options. */
export interface MethodConfig {
  readonly name: string;
  readonly [setting: string]: unknown;
}

/** What a run folder gets beside its log and its result. */
export interface ReportConfig {
  readonly html: boolean;
  readonly tensorboard: boolean;
  /** Keep the training state of a finished run: another run can start from it. */
  readonly state?: boolean;
  /** After a run of several tasks, also an adapter for each of them alone. */
  readonly split?: boolean;
}

/** Where prompt and head come from that do not start at random. */
export interface StartConfig {
  /** Adapter folder, run folder, or a training state. */
  readonly from: string;
  readonly head?: NonNullable<Start["head"]>;
  /** Which head, where there are several. */
  readonly task?: string;
}
