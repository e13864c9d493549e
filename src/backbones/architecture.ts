/** Legend: B batch, S sequence, P prompt length, E hidden size, H heads, L layers. */
import type { Value } from "../graph/index.ts";
import type { LayerContext, LayerPrompt } from "../nn/index.ts";
import type { LmHead } from "./lm-head.ts";

/** The facts of a checkpoint's `config.json` that the package uses. */
export interface BackboneConfig {
  readonly modelType: string;
  /** E */
  readonly hiddenSize: number;
  /** Width of word embeddings, and so of vectors that stand among them. */
  readonly embeddingSize: number;
  /** Width of keys and values, all heads together. */
  readonly keyWidth: number;
  /** L: how often a layer is applied, whether or not layers share weights. */
  readonly numLayers: number;
  /** H */
  readonly numHeads: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  /** Rows of the position table. */
  readonly maxPositions: number;
  readonly typeVocabSize: number;
  readonly padTokenId: number;
  /** Whether the masked-LM head shares the table of word embeddings. */
  readonly tiesWordEmbeddings: boolean;
  readonly layerNormEpsilon: number;
  /** A key of `activations`. */
  readonly activation: string;
  /** Dropout on embeddings and on the outputs of attention and feed-forward, in training. */
  readonly hiddenDropout: number;
  /** Dropout on attention probabilities, in training. */
  readonly attentionDropout: number;
  /** Standard deviation of newly initialised weights. */
  readonly initializerRange: number;
}

/** The batch as graph inputs, `[S, B]` int32 each. */
export interface BackboneInputs {
  readonly inputIds: Value;
  readonly tokenTypeIds: Value;
  readonly attentionMask: Value;
  /** `[K, B]` int32: rows `s·B + b` of the K marked positions of each text; absent where a head asks for others. */
  readonly markedRows?: Value;
  /** `[B]` int32: how many of these each text has; the others are to be ignored. */
  readonly markCounts?: Value;
  /** Whether the marked positions are gaps, and texts open with an answer where {@link LmHead.answers} says so. */
  readonly hasGaps?: boolean;
}

/** Vectors in front of the text's word embeddings. They run through all layers and never reach a head. */
export interface InputPrompt {
  /** `[P, embeddingSize]`, or `[P, B, embeddingSize]` where examples have their own. */
  readonly vectors: Value;
  /** 2: texts pass the embedding module by themselves first, and then again behind the prompt. */
  readonly embeddingPasses: 1 | 2;
  /** Row of the last layer that heads get for the first position: P is the first token of the text. */
  readonly firstRow: number;
}

/** How a method changes the frozen computation. */
export interface Adaptation {
  /** Position of the first row: of the first prompt vector, else of the first text token. */
  readonly positionOffset: number;
  readonly inputPrompt?: InputPrompt;
  /** `[P, embeddingSize]`: word embeddings of the ids −1 … −P, which stand for pseudo-tokens inside texts. */
  readonly pseudoTokens?: Value;
  /** Keys and values in front of layer `layer` (0-based), if it has any. */
  layerPrompt(layer: number): LayerPrompt | undefined;
  /**
   * What becomes of the output of a frozen linear layer, for every such layer of the encoder and of what heads read above
   * it. Left out, it stays as it is.
   * @param name as in {@link Architecture.linears} @param x `[N, inputs]` @param y `[N, outputs]` @returns the like of `y`
   */
  linear?(ctx: LayerContext, name: string, x: Value, y: Value): Value;
}

/**
 * Which positions of the last layer a head reads; the others are not computed. `marked`: that many of each text, which
 * the batch names. `gaps`: those that say what stands in so many gaps, which the batch names; see {@link LmHead.answers}.
 */
export type RowsRead = "first" | "all" | { readonly marked: number } | { readonly gaps: number };

/** A stretch of the layers, for work that is cut in two; left out, all of them. */
export interface LayerStretch {
  /** Starts with this layer, 0-based, on a given input `[S·B, E]` instead of the embeddings. */
  readonly from?: { readonly layer: number; readonly hidden: Value };
  /** Ends below this layer. */
  readonly end?: number;
}

/** A frozen linear layer, `[N, inputs]` → `[N, outputs]`. */
export interface LinearLayer {
  /** Of its module: `encoder.layer.0.attention.self.query`; the matrix is `….weight`. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly hasBias: boolean;
  /** What it makes (`query`), where its name does not end in that. */
  readonly kinds?: readonly string[];
}

/** Names of weights and their shapes. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/**
 * A family of checkpoints: how their files are named and what they compute. `C` is what it reads of `config.json`:
 * {@link BackboneConfig}, which others ask for, and what only its own layers need.
 */
export interface Architecture<C extends BackboneConfig = BackboneConfig> {
  /** Values of `model_type` in `config.json`. */
  readonly modelTypes: readonly string[];
  /** @throws BACKBONE_INVALID or BACKBONE_UNSUPPORTED naming the key */
  parseConfig(json: unknown, where: string): C;
  /** What transformers calls a weight of ours, in a model that has a head. */
  checkpointName(name: string): string;
  /**
   * Names of {@link checkpointName} that a tensor of other checkpoints of the same model stands for, equal stretches of its rows
   * each; absent for a tensor that has its own name.
   */
  piecesOf?(theirs: string): readonly string[] | undefined;
  /** What these names start with there, and do not where a checkpoint holds the encoder alone: `bert.`. */
  readonly prefix: string;
  /** What the names of transformers' classes start with, by `model_type`: `Bert`. */
  readonly transformersClasses: Readonly<Record<string, string>>;
  /** The weights that every checkpoint of a configuration has: all but the pooler and the LM head. */
  weights(config: C): WeightShapes;
  /** The frozen linear layers of the encoder, which may be held in another precision, or be adapted. */
  linears(config: C): readonly LinearLayer[];
  /** Whether one of our weight names is the bias of attention keys, which softmax does not see. */
  isKeyBias(name: string): boolean;
  /** The greatest number of tokens when the text starts at `positionOffset`. */
  maxLength(config: C, positionOffset: number): number;
  /** Where the text starts behind a prompt of this length, as the reference implementation has it. */
  promptPositionOffset(promptLength: number, config: C): number;
  /** @returns hidden states `[S·B, E]`; `[B, E]` where the first position is read, `[K·B, E]` where K marked ones are */
  forward(
    ctx: LayerContext,
    config: C,
    inputs: BackboneInputs,
    adaptation: Adaptation,
    rows: RowsRead,
    stretch?: LayerStretch,
  ): Value;
  /** The head that guesses masked words; a checkpoint may lack its weights. */
  readonly lmHead: LmHead;
  /** The pooler's weights; a checkpoint may lack them. */
  poolerWeights(config: C): WeightShapes;
  /** The pooler on first-position states: `[B, E]` → `[B, E]`. */
  pool(ctx: LayerContext, config: C, first: Value): Value;
  /**
   * Where transformers' head for one of PEFT's task types is made otherwise than BERT's: what PEFT calls modules that
   * have another name in BERT, and modules that BERT has in the frozen part.
   */
  readonly peftModules: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /**
   * Why PEFT cannot compute one of its types of adapters (`PREFIX_TUNING`) or of tasks (`QUESTION_ANS`) with transformers' class;
   * absent where it can all.
   */
  readonly peftRefusals?: Readonly<Record<string, string>>;
}
