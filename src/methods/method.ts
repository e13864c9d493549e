import type { Adaptation, Architecture, BackboneConfig } from "../backbones/index.ts";
import type { Params, Refusal, Rng } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { LayerContext } from "../nn/index.ts";

/** Trainable tensors as graph inputs, by parameter name. */
export type ParamValues = Readonly<Record<string, Value>>;

/**
 * One way to tune a frozen backbone. A method answers questions about itself; shared code never asks which one
 * it has.
 */
export interface Method {
  /** As in configs and adapters: `p-tuning-v2`. */
  readonly name: string;
  /** Every setting, resolved; written into configs and adapters and read back by {@link methodFrom}. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Learning rate that suits the method. */
  readonly learningRate: number;
  /** Starting values of the trainable tensors. */
  initialize(config: BackboneConfig, rng: Rng): Params;
  /** Position of the first text token. */
  positionOffset(architecture: Architecture): number;
  /** Writes the method's part of the graph; `params` are the tensors of {@link initialize}. */
  build(
    ctx: LayerContext,
    config: BackboneConfig,
    params: ParamValues,
    architecture: Architecture,
  ): Adaptation;
  /** The method as it is saved and served: without what only helps training. Itself where nothing is folded. */
  readonly deployed: Method;
  /** What PEFT calls this method, for adapters that it shall load; or why it cannot compute the same. */
  peft(size: Pick<BackboneConfig, "hiddenSize" | "numLayers" | "numHeads">): PeftMethod | Refusal;
  /** How parameters of this method become those of {@link deployed}; absent where they stay as they are. */
  readonly folding?: Folding;
}

/** A method in the terms of PEFT's `adapter_config.json`. */
export interface PeftMethod {
  readonly peftType: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Our parameter name → PEFT's tensor name. */
  readonly tensors: Readonly<Record<string, string>>;
}

/** Parameters that exist in training only, and what they amount to. */
export interface Folding {
  /** Names of the parameters that go. */
  readonly params: readonly string[];
  /** Writes the graph that computes their replacement. */
  build(b: GraphBuilder, params: ParamValues): ParamValues;
}
