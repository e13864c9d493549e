/**
 * The post-norm encoder that BERT and its relatives share: Vaswani et al. 2017, section 3.1, with GELU, and learnt
 * positions. What differs is in {@link PostNormFacts}. Weights have the names of BERT's checkpoints here, whatever
 * those of an architecture call them.
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), R = P + S, E hidden size.
 */
import * as z from "zod";
import type { Value } from "../graph/index.ts";
import {
  activations,
  attention,
  dropout,
  type LayerContext,
  type LinearOptions,
  layerNorm,
  linear,
} from "../nn/index.ts";
import type { Architecture, BackboneConfig, LinearLayer, WeightShapes } from "./architecture.ts";
import { embed, embeddingWeights } from "./embeddings.ts";
import { type EncoderParts, encoder, type LayerInput } from "./encoder.ts";
import { limits } from "./limits.ts";
import { linearLayer, linearWeights } from "./linear-layers.ts";
import { type LmHeadFacts, lmHead, lmHeadCheckpointName } from "./lm-head.ts";
import { encoderKeys, parseConfigWith, rate, size, width } from "./parse.ts";
import { type Renames, renamed } from "./weight-names.ts";

/** BERT's keys of `config.json`, with the values that transformers assumes where one is missing. */
const schema = (defaults: PostNormDefaults) =>
  z
    .object({
      ...encoderKeys,
      max_position_embeddings: size.max(limits.positions),
      type_vocab_size: z
        .int()
        .nonnegative()
        .max(limits.vocabulary)
        .default(defaults.typeVocabSize ?? 2),
      embedding_size: width.exactOptional(),
      pad_token_id: z.int().nonnegative().default(defaults.padTokenId),
      layer_norm_eps: z
        .number()
        .positive()
        .default(defaults.layerNormEpsilon ?? 1e-12),
      hidden_act: z.enum(Object.keys(activations)).default(defaults.activation ?? "gelu"),
      hidden_dropout_prob: rate.default(defaults.dropout ?? 0.1),
      attention_probs_dropout_prob: rate.default(defaults.dropout ?? 0.1),
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
  /** Default 1e-12. */
  readonly layerNormEpsilon?: number;
  /** Default gelu. */
  readonly activation?: string;
  /** Default 0.1. */
  readonly dropout?: number;
  /** Where word embeddings may have another width than hidden states: theirs by what the configuration says, if it does. */
  embeddingSize?(given: number | undefined): number | undefined;
}

/** In what the architectures of this family differ. */
export interface PostNormFacts<C extends BackboneConfig>
  extends Pick<Architecture, "modelTypes" | "peftModules" | "prefix" | "transformersClasses">,
    Partial<Pick<EncoderParts<C>, "mask" | "peftRefusals" | "promptPositionOffset">> {
  readonly defaults: PostNormDefaults;
  readonly lmHead: LmHeadFacts;
  /** Where the checkpoint's names of the encoder's weights are not BERT's. */
  readonly renames?: Renames;
  /** Where keys of `config.json` are not BERT's: BERT's key → the file's. */
  readonly keys?: Readonly<Record<string, string>>;
  /** Activation of the pooler, a key of `activations`, and what a checkpoint calls it where it is no part of the encoder. */
  readonly pooler?: { readonly activation: string; readonly module?: string };
  readonly undropped?: PostNormOptions["undropped"];
  /** Whether a linear layer takes embeddings to the width of hidden states; left out, where the two differ. */
  readonly isProjected?: true;
  /** Names of the weights that an application of a layer reads; left out, each has its own. */
  layerName?(config: C, layer: number): string;
  /** Row of the position table that the first token of a text reads. */
  firstPosition(config: C): number;
  /** What its own parts need besides; left out, nothing. */
  parseOwn?(config: BackboneConfig, json: unknown, where: string): C;
  /** Weights of its own parts. */
  ownWeights?(config: C): WeightShapes;
}

const poolerModule = "pooler.dense";

/** An architecture of this family. */
export function postNormEncoder<C extends BackboneConfig = BackboneConfig>(
  facts: PostNormFacts<C>,
): Architecture<C> {
  const { modelTypes, transformersClasses, peftModules, prefix, mask, renames = [], pooler } = facts;
  const isProjected = ({ embeddingSize, hiddenSize }: C): boolean =>
    facts.isProjected ?? embeddingSize !== hiddenSize;
  const layerName = (config: C, layer: number): string =>
    facts.layerName?.(config, layer) ?? `encoder.layer.${layer}`;
  const layerNames = (config: C): readonly string[] => [
    ...new Set(Array.from({ length: config.numLayers }, (_, layer) => layerName(config, layer))),
  ];
  return encoder<C>({
    modelTypes,
    transformersClasses,
    peftModules,
    prefix,
    ...(mask && { mask }),
    ...(facts.peftRefusals && { peftRefusals: facts.peftRefusals }),
    checkpointName(name) {
      if (pooler?.module && name.startsWith(poolerModule)) return name.replace(poolerModule, pooler.module);
      return lmHeadCheckpointName(facts.lmHead, name) ?? `${prefix}${renamed(name, renames)}`;
    },
    parseConfig(json, where): C {
      const config = parseBase(facts, json, where);
      return facts.parseOwn?.(config, json, where) ?? (config as C);
    },
    weights: (config) => ({
      ...embeddingWeights(config, isProjected(config)),
      ...linearWeights(layerNames(config).flatMap((name) => layerLinears(config, name))),
      ...normWeights(config, layerNames(config)),
      ...facts.ownWeights?.(config),
    }),
    linears: (config) => layerNames(config).flatMap((name) => layerLinears(config, name)),
    isKeyBias: (name) => name.endsWith(".attention.self.key.bias"),
    maxLength: (config, positionOffset) => config.maxPositions - facts.firstPosition(config) - positionOffset,
    promptPositionOffset: facts.promptPositionOffset ?? ((promptLength) => promptLength),
    embed: (ctx, config, inputs, adaptation) =>
      embed(
        ctx,
        config,
        inputs,
        adaptation,
        facts.firstPosition(config) + adaptation.positionOffset,
        isProjected(config),
      ),
    layers: (ctx, config) => (layer, input) =>
      postNormLayer(ctx, config, layerName(config, layer), input, { undropped: facts.undropped }),
    lmHead: lmHead(facts.lmHead),
    poolerWeights: ({ hiddenSize }) => ({
      [`${poolerModule}.weight`]: [hiddenSize, hiddenSize],
      [`${poolerModule}.bias`]: [hiddenSize],
    }),
    pool: (ctx, config, first) =>
      activations[pooler?.activation ?? "tanh"]!(ctx, linear(ctx, first, poolerModule, config.hiddenSize)),
  });
}

/** Reads BERT's keys. */
export function parseBase(
  {
    defaults,
    keys,
  }: { readonly defaults: PostNormDefaults; readonly keys?: Readonly<Record<string, string>> },
  json: unknown,
  where: string,
): BackboneConfig {
  const config = parseConfigWith(schema(defaults), json, where, keys);
  return {
    modelType: config.model_type,
    hiddenSize: config.hidden_size,
    embeddingSize: defaults.embeddingSize?.(config.embedding_size) ?? config.hidden_size,
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

/** The linear layers of a post-norm layer behind its attention. */
export function denseLinears(
  { hiddenSize: E, intermediateSize: I }: BackboneConfig,
  at: string,
): LinearLayer[] {
  return [
    linearLayer(`${at}.attention.output.dense`, E, E),
    linearLayer(`${at}.intermediate.dense`, E, I),
    linearLayer(`${at}.output.dense`, I, E),
  ];
}

function layerLinears(config: BackboneConfig, at: string): LinearLayer[] {
  const { hiddenSize: E } = config;
  const attention = ["query", "key", "value"].map((name) =>
    linearLayer(`${at}.attention.self.${name}`, E, E),
  );
  return [...attention, ...denseLinears(config, at)];
}

/** Layer norms of post-norm layers. */
export function normWeights(config: BackboneConfig, layers: readonly string[]): WeightShapes {
  const shapes: Record<string, readonly number[]> = {};
  for (const at of layers) {
    for (const norm of ["attention.output", "output"])
      for (const part of ["weight", "bias"]) shapes[`${at}.${norm}.LayerNorm.${part}`] = [config.hiddenSize];
  }
  return shapes;
}

/** What of a post-norm layer an architecture may do otherwise. */
export interface PostNormOptions {
  /** Outputs that nothing is dropped from in training; left out, none. */
  readonly undropped?: "attention" | "feed-forward" | undefined;
  /** Attention of the wanted rows over all, `[Q·B, E]`; left out, BERT's. */
  attend?(name: string, input: LayerInput): Value;
}

/** Attention and feed-forward, each added to its input and normalised: the wanted rows of `[R·B, E]`. */
export function postNormLayer(
  ctx: LayerContext,
  config: BackboneConfig,
  name: string,
  input: LayerInput,
  { undropped, attend = (at, given) => selfAttention(ctx, config, at, given) }: PostNormOptions = {},
): Value {
  const { b } = ctx;
  const { hiddenSize, hiddenDropout, layerNormEpsilon } = config;
  const { x, wanted } = input;
  return b.scope(name, () => {
    const addAndNormalise = (
      update: Value,
      residual: Value,
      part: string,
      isDropped: boolean,
      options: LinearOptions = {},
    ): Value => {
      const dense = linear(ctx, update, `${name}.${part}.dense`, hiddenSize, options);
      const sum = b.op("Add", [isDropped ? dropout(ctx, dense, hiddenDropout) : dense, residual]);
      return layerNorm(ctx, sum, `${name}.${part}.LayerNorm`, layerNormEpsilon);
    };
    const mixed = attend(name, input);
    const rows = wanted ? wanted.take(x) : x;
    const attended = addAndNormalise(mixed, rows, "attention.output", undropped !== "attention");
    const wide = linear(ctx, attended, `${name}.intermediate.dense`, config.intermediateSize);
    const active = activations[config.activation]!(ctx, wide);
    return addAndNormalise(active, attended, "output", undropped !== "feed-forward", { hasUnevenRows: true });
  });
}

function selfAttention(
  ctx: LayerContext,
  config: BackboneConfig,
  name: string,
  { x, mask, prompt, wanted }: LayerInput,
): Value {
  const project = (rows: Value, part: string): Value =>
    linear(ctx, rows, `${name}.attention.self.${part}`, config.hiddenSize);
  return attention(
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
}
