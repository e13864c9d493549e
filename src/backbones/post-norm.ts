/**
 * The post-norm encoder that BERT and its relatives share: Vaswani et al. 2017, section 3.1, with GELU, and learnt
 * positions. What differs is in {@link PostNormFacts}. Weights have the names of BERT's checkpoints here, whatever
 * those of an architecture call them.
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), R = P + S, E hidden size.
 */
import * as z from "zod";
import type { Value } from "../graph/index.ts";
import { activations, attention, dropout, type LayerContext, layerNorm, linear } from "../nn/index.ts";
import type { Architecture, BackboneConfig, LinearLayer, WeightShapes } from "./architecture.ts";
import { embed, embeddingWeights } from "./embeddings.ts";
import { type EncoderParts, encoder, type LayerInput } from "./encoder.ts";
import { limits } from "./limits.ts";
import { type LmHeadFacts, lmHead, lmHeadCheckpointName } from "./lm-head.ts";
import { parseConfigWith } from "./parse.ts";
import { type Renames, renamed } from "./weight-names.ts";

const size = z.int().positive();
const width = size.max(limits.hiddenSize);
const rate = z.number().min(0).lt(1);

/** Keys of `config.json`, with the values that transformers assumes where one is missing. */
const schema = (defaults: PostNormDefaults) =>
  z
    .object({
      model_type: z.string(),
      hidden_size: width,
      num_hidden_layers: size.max(limits.layers),
      num_attention_heads: width,
      intermediate_size: size.max(16 * limits.hiddenSize),
      vocab_size: size.max(limits.vocabulary),
      max_position_embeddings: size.max(limits.positions),
      type_vocab_size: z
        .int()
        .nonnegative()
        .max(limits.vocabulary)
        .default(defaults.typeVocabSize ?? 2),
      pad_token_id: z.int().nonnegative().default(defaults.padTokenId),
      layer_norm_eps: z.number().positive().default(1e-12),
      hidden_act: z.enum(Object.keys(activations)).default("gelu"),
      hidden_dropout_prob: rate.default(0.1),
      attention_probs_dropout_prob: rate.default(0.1),
      initializer_range: z.number().positive().default(0.02),
      tie_word_embeddings: z.boolean().default(true),
      position_embedding_type: z.literal("absolute").default("absolute"),
      is_decoder: z.literal(false).default(false),
    })
    .refine((config) => config.hidden_size % config.num_attention_heads === 0, {
      path: ["num_attention_heads"],
      message: "expected a divisor of hidden_size",
    });

/** What `config.json` may leave out and the architectures fill in differently. */
interface PostNormDefaults {
  readonly padTokenId: number;
  /** Default 2. */
  readonly typeVocabSize?: number;
}

/** In what the architectures of this family differ. */
export interface PostNormFacts<C extends BackboneConfig>
  extends Pick<Architecture, "modelTypes" | "peftModules" | "prefix" | "transformersClasses">,
    Partial<Pick<EncoderParts<C>, "mask" | "peftRefusals" | "promptPositionOffset">> {
  readonly defaults: PostNormDefaults;
  readonly lmHead: LmHeadFacts;
  /** Where the checkpoint's names of the encoder's weights are not BERT's. */
  readonly renames?: Renames;
  /** Row of the position table that the first token of a text reads. */
  firstPosition(config: C): number;
  /** What its own parts need besides; left out, nothing. */
  parseOwn?(config: BackboneConfig, json: unknown, where: string): C;
  /** Weights of its own parts. */
  ownWeights?(config: C): WeightShapes;
}

/** An architecture of this family. */
export function postNormEncoder<C extends BackboneConfig = BackboneConfig>(
  facts: PostNormFacts<C>,
): Architecture<C> {
  const { modelTypes, transformersClasses, peftModules, prefix, mask, renames = [] } = facts;
  return encoder<C>({
    modelTypes,
    transformersClasses,
    peftModules,
    prefix,
    ...(mask && { mask }),
    ...(facts.peftRefusals && { peftRefusals: facts.peftRefusals }),
    checkpointName: (name) =>
      lmHeadCheckpointName(facts.lmHead, name) ?? `${prefix}${renamed(name, renames)}`,
    parseConfig(json, where): C {
      const config = parseBase(facts.defaults, json, where);
      return facts.parseOwn?.(config, json, where) ?? (config as C);
    },
    weights: (config) => ({ ...encoderWeights(config), ...facts.ownWeights?.(config) }),
    linears: (config) =>
      Array.from({ length: config.numLayers }, (_, layer) => layerLinears(config, layerName(layer))).flat(),
    isKeyBias: (name) => name.endsWith(".attention.self.key.bias"),
    maxLength: (config, positionOffset) => config.maxPositions - facts.firstPosition(config) - positionOffset,
    promptPositionOffset: facts.promptPositionOffset ?? ((promptLength) => promptLength),
    embed: (ctx, config, inputs, adaptation) =>
      embed(ctx, config, inputs, adaptation, facts.firstPosition(config) + adaptation.positionOffset),
    layers: (ctx, config) => (layer, input) => postNormLayer(ctx, config, layerName(layer), input),
    lmHead: lmHead(facts.lmHead),
    poolerWeights: ({ hiddenSize }) => ({
      "pooler.dense.weight": [hiddenSize, hiddenSize],
      "pooler.dense.bias": [hiddenSize],
    }),
    pool: (ctx, config, first) => ctx.b.op("Tanh", [linear(ctx, first, "pooler.dense", config.hiddenSize)]),
  });
}

function parseBase(defaults: PostNormDefaults, json: unknown, where: string): BackboneConfig {
  const config = parseConfigWith(schema(defaults), json, where);
  return {
    modelType: config.model_type,
    hiddenSize: config.hidden_size,
    embeddingSize: config.hidden_size,
    keyWidth: config.hidden_size,
    numLayers: config.num_hidden_layers,
    numHeads: config.num_attention_heads,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    maxPositions: config.max_position_embeddings,
    typeVocabSize: config.type_vocab_size,
    padTokenId: config.pad_token_id,
    tiesWordEmbeddings: config.tie_word_embeddings,
    layerNormEpsilon: config.layer_norm_eps,
    activation: config.hidden_act,
    hiddenDropout: config.hidden_dropout_prob,
    attentionDropout: config.attention_probs_dropout_prob,
    initializerRange: config.initializer_range,
  };
}

const layerName = (layer: number): string => `encoder.layer.${layer}`;

function layerLinears({ hiddenSize: E, intermediateSize: I }: BackboneConfig, at: string): LinearLayer[] {
  const layer = (name: string, inputs: number, outputs: number): LinearLayer => ({
    name: `${at}.${name}`,
    inputs,
    outputs,
    hasBias: true,
  });
  return [
    ...["query", "key", "value"].map((name) => layer(`attention.self.${name}`, E, E)),
    layer("attention.output.dense", E, E),
    layer("intermediate.dense", E, I),
    layer("output.dense", I, E),
  ];
}

function encoderWeights(config: BackboneConfig): WeightShapes {
  const shapes: Record<string, readonly number[]> = { ...embeddingWeights(config) };
  for (let layer = 0; layer < config.numLayers; layer++) {
    const at = layerName(layer);
    for (const { name, inputs, outputs } of layerLinears(config, at)) {
      shapes[`${name}.weight`] = [outputs, inputs];
      shapes[`${name}.bias`] = [outputs];
    }
    for (const norm of ["attention.output", "output"])
      for (const part of ["weight", "bias"]) shapes[`${at}.${norm}.LayerNorm.${part}`] = [config.hiddenSize];
  }
  return shapes;
}

function postNormLayer(
  ctx: LayerContext,
  config: BackboneConfig,
  name: string,
  { x, mask, prompt, wanted }: LayerInput,
): Value {
  const { b } = ctx;
  const { hiddenSize, hiddenDropout, layerNormEpsilon } = config;
  return b.scope(name, () => {
    const addAndNormalise = (update: Value, residual: Value, part: string): Value => {
      const dense = linear(ctx, update, `${name}.${part}.dense`, hiddenSize);
      const sum = b.op("Add", [dropout(ctx, dense, hiddenDropout), residual]);
      return layerNorm(ctx, sum, `${name}.${part}.LayerNorm`, layerNormEpsilon);
    };
    const project = (rows: Value, part: string): Value =>
      linear(ctx, rows, `${name}.attention.self.${part}`, hiddenSize);
    const mixed = attention(
      ctx,
      x,
      mask,
      prompt,
      {
        heads: config.numHeads,
        dropoutRate: config.attentionDropout,
        project: (queries) => ({
          query: project(queries, "query"),
          key: project(x, "key"),
          value: project(x, "value"),
        }),
      },
      wanted,
    );
    const attended = addAndNormalise(mixed, wanted ? wanted.take(x) : x, "attention.output");
    const wide = linear(ctx, attended, `${name}.intermediate.dense`, config.intermediateSize);
    return addAndNormalise(activations[config.activation]!(ctx, wide), attended, "output");
  });
}
