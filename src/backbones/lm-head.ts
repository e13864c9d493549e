/** Legend: N rows, E hidden size, V vocabulary. */
import type { Refusal } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { activations, type LayerContext, layerNorm, linear } from "../nn/index.ts";
import type { BackboneConfig, WeightShapes } from "./architecture.ts";
import { wordTable } from "./embeddings.ts";

/**
 * The head that a checkpoint was pretrained with to guess masked words: a dense layer, an activation, a layer norm, and
 * the word embeddings with a bias; `BertLMPredictionHead` and `RobertaLMHead` in transformers.
 */
export interface LmHead {
  /** Names and shapes of its own weights. */
  weights(config: BackboneConfig): WeightShapes;
  /** Name of the table `[V, embeddingSize]` that it shares with the embeddings. */
  readonly table: string;
  /** Name of the bias `[V]` behind it, if there is one. */
  readonly bias?: string;
  /** What is multiplied with the table: `[N, E]` → `[N, embeddingSize]`. */
  transform(ctx: LayerContext, config: BackboneConfig, hidden: Value): Value;
  /**
   * Where the state that says what stands in a gap is; left out, at the mask. `first`: at a token that opens an answer, in front
   * of the text, which sees the text and is not seen by it. A gap is filled by one piece then.
   */
  readonly answers?: "first";
  /** Why words cannot be guessed with the head alone, where that is so. */
  readonly refusal?: Refusal;
}

/** In the place of a head that would not be enough. */
export function noLmHead(reason: string): LmHead {
  return {
    weights: () => ({}),
    table: wordTable,
    transform: (_, __, hidden) => hidden,
    refusal: { reason },
  };
}

/** Whether a checkpoint came with a head that words can be guessed with. */
export function hasLmHead({
  architecture: { lmHead: head },
  config,
  weights,
}: {
  readonly architecture: { readonly lmHead: LmHead };
  readonly config: BackboneConfig;
  readonly weights: ReadonlyMap<string, unknown>;
}): boolean {
  const isWhole = Object.keys(head.weights(config)).every((name) => weights.has(name));
  return head.refusal === undefined && config.tiesWordEmbeddings && isWhole;
}

const [dense, norm, bias] = ["lm_head.dense", "lm_head.norm", "lm_head.bias"] as const;

/** Where an architecture's checkpoints keep the parts of the head. */
export interface LmHeadFacts {
  readonly dense: string;
  readonly norm: string;
  readonly bias: string;
  /** Key of `activations`, where it is not that of the encoder. */
  readonly activation?: string;
}

/** The head of an architecture. */
export function lmHead({ activation }: LmHeadFacts): LmHead {
  return {
    weights: ({ hiddenSize, embeddingSize, vocabSize }) => ({
      [`${dense}.weight`]: [embeddingSize, hiddenSize],
      [`${dense}.bias`]: [embeddingSize],
      [`${norm}.weight`]: [embeddingSize],
      [`${norm}.bias`]: [embeddingSize],
      [bias]: [vocabSize],
    }),
    table: wordTable,
    bias,
    transform(ctx, config, hidden) {
      const wide = linear(ctx, hidden, dense, config.embeddingSize);
      const active = activations[activation ?? config.activation]!(ctx, wide);
      return layerNorm(ctx, active, norm, config.layerNormEpsilon);
    },
  };
}

/** Pairs of names, ours and the checkpoint's: modules, and the bias. */
const pairs = (facts: LmHeadFacts): (readonly [ours: string, theirs: string])[] => [
  [dense, facts.dense],
  [norm, facts.norm],
  [bias, facts.bias],
];

/** The checkpoint's name of one of the head's weights, `undefined` for any other. */
export function lmHeadCheckpointName(facts: LmHeadFacts, name: string): string | undefined {
  for (const [ours, theirs] of pairs(facts)) {
    if (name === ours) return theirs;
    if (name.startsWith(`${ours}.`)) return theirs + name.slice(ours.length);
  }
  return undefined;
}
