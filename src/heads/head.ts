import type { Architecture, BackboneConfig, BackboneInputs, RowsRead } from "../backbones/index.ts";
import type { Params, Rng } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import type { LayerContext } from "../nn/index.ts";

/** What a head builds on. */
export interface HeadInputs {
  readonly architecture: Architecture;
  readonly config: BackboneConfig;
  readonly inputs: BackboneInputs;
  /** `[S·B, E]`, or `[B, E]` where the head reads the first position only. */
  readonly hidden: Value;
  /** The same rows behind the embeddings and behind each layer, the last one included; see {@link Head.everyLayer}. */
  readonly layers?: readonly Value[];
  /** What {@link Head.bare} makes of the same texts, `[B, F]`. */
  readonly bare?: Value;
  readonly params: Readonly<Record<string, Value>>;
}

/** What a head reads of the untouched backbone: one vector per sequence. */
interface BareReading {
  /** Heads that call it alike read the same of equal texts on one backbone, so one pass may serve all of them. */
  readonly name: string;
  /** F. */
  width(config: BackboneConfig): number;
  /** @param inputs with the states of the untouched backbone @returns `[B, F]` */
  features(ctx: LayerContext, inputs: HeadInputs): Value;
}

/** The trainable part between hidden states and logits. */
export interface Head {
  readonly name: string;
  /** Every setting, resolved. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The positions of the last layer that it reads. */
  readonly rows: RowsRead;
  /** Whether it reads what every layer makes of them, not the last one alone. */
  readonly everyLayer?: boolean;
  /**
   * Whether it answers for each position by itself. Its loss then reaches some positions far more than others: int8
   * products scale the rows of gradients one by one, as one scale for all would round the small ones away, and methods
   * may have other defaults.
   */
  readonly perPosition?: boolean;
  /** What it reads beside the tuned states: each text passes the backbone twice then. Left out, nothing. */
  readonly bare?: BareReading;
  initialize(config: BackboneConfig, rng: Rng): Params;
  /**
   * Names and shapes of backbone weights that the head reads and a checkpoint may lack, such as the pooler's. Those
   * that are missing are drawn once, stay frozen, and are saved with the adapter.
   */
  backboneWeights?(
    architecture: Architecture,
    config: BackboneConfig,
  ): Readonly<Record<string, readonly number[]>>;
  /** Whether it ends in the backbone's own masked-LM head, which the checkpoint must have then. */
  readonly usesLmHead?: boolean;
  /** Where its logits are a linear layer on some vectors, however many per sequence: these. Absent where it computes something else. */
  readonly linear?: LinearReading;
  /** Where it is a linear layer on one vector per sequence: that vector. Absent where it computes something else. */
  readonly readout?: Readout;
  /** @returns logits, one row per thing that is classified */
  build(ctx: LayerContext, inputs: HeadInputs): Value;
}

/** The vectors x of a head whose logits are `headWeight · x + headBias` where nothing is dropped out. */
export interface LinearReading {
  /** Heads that call them alike, and read the same rows, read the same of equal texts on one backbone. */
  readonly name: string;
  /** @returns `[N, F]` */
  vectors(ctx: LayerContext, inputs: HeadInputs): Value;
}

/**
 * What a head is whose logits are `headWeight · features + headBias` where nothing is dropped out: such a head can be
 * fitted again as a linear model, on features that stay as they are.
 */
export interface Readout {
  /** @returns one row per sequence, `[B, F]` */
  features(ctx: LayerContext, inputs: HeadInputs): Value;
  /** Whether runs fit it again at their end: not where a preset asks for what another implementation computes. */
  readonly isRefitted: boolean;
}
