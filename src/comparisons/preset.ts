import type { Backbone } from "../backbones/index.ts";
import type { CompleteConfig, RunConfig } from "../config/index.ts";
import type { ComparisonFigure } from "../report/index.ts";

/** One thing that is compared: a name, and the configuration of its runs but for the seed. */
export interface Variant {
  readonly name: string;
  /** Curve that it is a point of; absent where it lies on all of them. */
  readonly series?: string;
  /** Its place on the axis. */
  readonly at?: number;
  readonly config: RunConfig;
}

/** What a comparison starts from. */
export interface Ground {
  readonly config: CompleteConfig;
  readonly backbone: Backbone;
  /** Methods to compare; absent where nobody says. */
  readonly methods?: readonly string[] | undefined;
  /** Numbers in place of the preset's own. */
  readonly values?: readonly number[] | undefined;
  /** Backbones to compare. */
  readonly backbones?: readonly ComparedBackbone[] | undefined;
}

/** One of several backbones. */
export interface ComparedBackbone extends Pick<Backbone, "id" | "fingerprint" | "parameterCount"> {
  /** In names of variants. */
  readonly name: string;
  /** As configurations name it. */
  readonly place: string;
}

/** A kind of comparison: what is held against what, and how it is drawn. */
export interface Preset {
  readonly name: string;
  /** What is compared, as a title. */
  readonly title: string;
  /** Seeds of each variant where nobody says how many. */
  readonly seeds: number;
  /** Keys of the configuration that take the seed. */
  readonly seedKeys: readonly string[];
  readonly figure: ComparisonFigure;
  /** Whether it can be made for methods of the user's choice; else it is about deep prompts, or one method. */
  readonly takesMethods: boolean;
  /** Whether it can be made for numbers of the user's choice. */
  readonly takesValues: boolean;
  /** Whether it is about backbones of the user's choice; left out, it is about the configured one. */
  readonly takesBackbones?: true;
  /**
   * The variants, in the order of the table.
   * @throws OPTION_INVALID if it has no meaning for this task, method or backbone
   */
  variants(ground: Ground): Variant[];
}

/** What presets over the seed of training alone have in common. */
export const trainingSeed: Pick<Preset, "seedKeys"> = { seedKeys: ["training.seed"] };
