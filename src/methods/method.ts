import type { Adaptation, Architecture, BackboneConfig } from "../backbones/index.ts";
import type { Params, Refusal, Rng, Tensor } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import type { LayerContext } from "../nn/index.ts";
import type { Decayed, OptimizerName, ScheduleName } from "../optim/index.ts";
import type { Tokenizer, TokenSequences } from "../text/index.ts";

/** Trainable tensors as graph inputs, by parameter name. */
export type ParamValues = Readonly<Record<string, Value>>;

/** Training settings that suit a method, where they differ from those of every run. */
export interface MethodDefaults {
  readonly learningRate: number;
  readonly optimizer?: OptimizerName;
  readonly schedule?: ScheduleName;
  readonly warmupSteps?: number;
  readonly weightDecay?: number;
  readonly hiddenDropout?: number | "checkpoint";
  readonly attentionDropout?: number | "checkpoint";
}

/** What a parameter may start from. */
export interface StartingPoint {
  /** A stream of the parameter's own. */
  readonly rng: Rng;
  readonly config: BackboneConfig;
  /** A weight of the checkpoint, as float32. @throws BACKBONE_INVALID if there is none of this name */
  readWeight(name: string): Promise<Tensor<"float32">>;
  readonly tokenizer: Tokenizer;
  /** The labels of the task; none where it has none. */
  readonly labels: readonly string[];
  /** The training texts, as the task encodes them; absent where nothing is trained on. */
  readonly texts?: TokenSequences;
  /**
   * What the untouched backbone computes of some tokens of texts: key and value of each layer in turn, `[N, 2·L·E]`.
   * @param tokens N places in `sequences.ids`
   */
  keysAndValues(sequences: TokenSequences, tokens: readonly number[]): Promise<Tensor<"float32">>;
}

/** One trainable tensor: its shape, and how it starts. */
export interface Parameter {
  readonly shape: readonly number[];
  /** Whether it has a row per prompt position, so that a saved one of another length can be tiled or cut. */
  readonly hasPromptRows?: boolean;
  /** Layers that its numbers belong to, where the shape alone does not tell. */
  readonly layers?: readonly number[];
  /** Its learning rate as a multiple of the run's; default 1. */
  readonly rateFactor?: number;
  start(from: StartingPoint): Tensor<"float32"> | Promise<Tensor<"float32">>;
}

/**
 * One way to tune a backbone. A method answers questions about itself; shared code never asks which one it has.
 */
export interface Method {
  /** As in configs and adapters: `p-tuning-v2`. */
  readonly name: string;
  /** Every setting, resolved; written into configs and adapters and read back by {@link methodFrom}. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly defaults: MethodDefaults;
  /** What of {@link defaults} differs beside a head that answers for each position; nothing where it is absent. */
  readonly perPositionDefaults?: Partial<MethodDefaults>;
  /**
   * Whether the head is fitted as a linear model in place of all updates, as nothing else is trained: runs have no epochs, and
   * tasks a head that is linear on one vector per sequence. Left out, no.
   */
  readonly fitsHead?: boolean;
  /** Trainable tensors of the method's own, by name. */
  parameters(config: BackboneConfig, architecture: Architecture): Readonly<Record<string, Parameter>>;
  /** Whether it also trains this weight of the backbone; absent where it trains none. */
  trains?(weight: string, architecture: Architecture): boolean;
  /** Which trainable tensors weight decay shrinks: all, or only matrices, so no biases and layer norms. */
  readonly decays: Decayed;
  /** Why the layers of the backbone cannot be in another form than fp32 beside it, where that is so. */
  readonly fp32Only?: Refusal;
  /** What is saved: what was trained, or the whole backbone as a checkpoint of its own. */
  readonly savedAs: "adapter" | "checkpoint";
  /** Position of the first text token. */
  positionOffset(architecture: Architecture, config: BackboneConfig): number;
  /** How many pseudo-tokens inside the text it has vectors for; left out, none. */
  readonly pseudoTokens?: number;
  /** Writes the method's part of the graph; `params` are the tensors of {@link parameters}. */
  build(
    ctx: LayerContext,
    config: BackboneConfig,
    params: ParamValues,
    architecture: Architecture,
  ): Adaptation;
  /** How examples of one batch have parameters of their own, each those of its adapter; absent where all must share them. */
  readonly mixed?: MixedMethod;
  /** The method as it is saved and served: without what only helps training. Itself where nothing is folded. */
  readonly deployed: Method;
  /** How parameters of this method become those of {@link deployed}; absent where they stay as they are. */
  readonly folding?: Folding;
  /**
   * The weights of the backbone that compute the same without the method, by name, where it is nothing but other weights.
   * @param params of the method, and the weights that it trains
   */
  merge?(from: MergeSource, params: Params): Promise<Params>;
}

/** A method whose adapters answer in one batch. */
export interface MixedMethod {
  /** Methods that say the same here write the same on one backbone, whatever else their options are. */
  readonly key: string;
  /** Writes what {@link Method.build} writes, of parameters by example. */
  build(
    ctx: LayerContext,
    config: BackboneConfig,
    params: ExampleParams,
    architecture: Architecture,
  ): Adaptation;
}

/** The parameters of a method for each example of a batch. */
export interface ExampleParams {
  /**
   * Some columns of a tensor `[R, W]`, its rows outside: `[R, B, width]`.
   * @param first the first, like `width` a multiple of the widths of keys, of hidden states or of embeddings
   */
  columns(name: string, first: number, width: number): Value;
  /** One row of a tensor `[R, W]`: `[B, W]`. */
  row(name: string, row: number): Value;
}

/** The backbone that something is merged into. */
export interface MergeSource extends Pick<StartingPoint, "config" | "readWeight"> {
  readonly architecture: Architecture;
}

/** Parameters that exist in training only, and what they amount to. */
export interface Folding {
  /** Names of the parameters that go. */
  readonly params: readonly string[];
  /** Writes the graph that computes their replacement. */
  build(b: GraphBuilder, params: ParamValues): ParamValues;
}

/** The method of an untouched computation: nothing in front of any layer, the text at position 0. */
export const untouched: Adaptation = { positionOffset: 0, layerPrompt: () => undefined };
