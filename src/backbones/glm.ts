/**
 * GLM of Du et al. 2022 (arXiv 2103.10360), 2 B and 10 B: pre-norm layers with fused projections and two learnt positions,
 * inside the text and inside what is generated. Here it reads whole texts: every token sees every other, nothing is
 * generated, and the second position is 0 throughout.
 *
 * Legend: B batch, R rows, E hidden size.
 */
import * as z from "zod";
import { addDims, type Dim, multiplyDims, PtuningError } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { activations, attention, dropout, type LayerContext, layerNorm, linear } from "../nn/index.ts";
import type { Architecture, BackboneConfig, LinearLayer, WeightShapes } from "./architecture.ts";
import { embedThrough, wordTable } from "./embeddings.ts";
import { encoder, type LayerInput } from "./encoder.ts";
import { limits } from "./limits.ts";
import { linearLayer, linearWeights, projectThirds } from "./linear-layers.ts";
import { noLmHead } from "./lm-head.ts";
import { parseConfigWith, rate, size, width } from "./parse.ts";

const schema = z
  .object({
    model_type: z.string(),
    num_layers: size.max(limits.layers),
    hidden_size: width,
    num_attention_heads: width,
    vocab_size: size.max(limits.vocabulary),
    max_sequence_length: size.max(limits.positions),
    block_position_encoding: z.literal(true),
    relative_encoding: z.literal(false).default(false),
    attention_scale: z.literal(1).default(1),
    embedding_dropout_prob: rate.default(0.1),
    output_dropout_prob: rate.default(0.1),
    attention_dropout_prob: rate.default(0.1),
    pad_token_id: z.int().nonnegative().default(50_256),
    layer_norm_eps: z.number().positive().default(1e-5),
    initializer_range: z.number().positive().default(0.02),
    // What the weights were trained with; a class on the model hub computes `gelu`.
    hidden_act: z.enum(Object.keys(activations)).default("gelu_pytorch_tanh"),
  })
  .refine((config) => config.hidden_size % config.num_attention_heads === 0, {
    path: ["num_attention_heads"],
    message: "expected a divisor of hidden_size",
  });

function parseConfig(json: unknown, where: string): BackboneConfig {
  if ((json as { block_position_encoding?: unknown } | null)?.block_position_encoding !== true) {
    throw new PtuningError(
      "BACKBONE_UNSUPPORTED",
      `${where}: expected the GLM of 2022 (block_position_encoding: true), got another model whose model_type is glm, such as GLM-4.`,
      { hint: "Choose a backbone of a supported architecture." },
    );
  }
  const config = parseConfigWith(schema, json, where);
  return {
    modelType: config.model_type,
    hiddenSize: config.hidden_size,
    embeddingSize: config.hidden_size,
    keyWidth: config.hidden_size,
    numLayers: config.num_layers,
    numHeads: config.num_attention_heads,
    intermediateSize: 4 * config.hidden_size,
    vocabSize: config.vocab_size,
    // One row more than there are positions, as the tables have it.
    maxPositions: config.max_sequence_length + 1,
    typeVocabSize: 0,
    padTokenId: config.pad_token_id,
    tiesWordEmbeddings: true,
    layerNormEpsilon: config.layer_norm_eps,
    activation: config.hidden_act,
    hiddenDropout: config.output_dropout_prob,
    attentionDropout: config.attention_dropout_prob,
    initializerRange: config.initializer_range,
  };
}

const layerName = (layer: number): string => `transformer.layers.${layer}`;

function layerLinears({ hiddenSize: E, intermediateSize: I }: BackboneConfig, at: string): LinearLayer[] {
  return [
    { ...linearLayer(`${at}.attention.query_key_value`, E, 3 * E), kinds: ["query", "key", "value"] },
    linearLayer(`${at}.attention.dense`, E, E),
    linearLayer(`${at}.mlp.dense_h_to_4h`, E, I),
    linearLayer(`${at}.mlp.dense_4h_to_h`, I, E),
  ];
}

const layers = ({ numLayers }: BackboneConfig): string[] =>
  Array.from({ length: numLayers }, (_, layer) => layerName(layer));

function weights(config: BackboneConfig): WeightShapes {
  const { hiddenSize: E, vocabSize, maxPositions } = config;
  const norms = [
    ...layers(config).flatMap((at) => [`${at}.input_layernorm`, `${at}.post_attention_layernorm`]),
    "transformer.final_layernorm",
  ];
  return {
    [wordTable]: [vocabSize, E],
    [positions]: [maxPositions, E],
    [blockPositions]: [maxPositions, E],
    ...linearWeights(layers(config).flatMap((at) => layerLinears(config, at))),
    ...Object.fromEntries(
      norms.flatMap((name) => ["weight", "bias"].map((part) => [`${name}.${part}`, [E]])),
    ),
  };
}

const positions = "transformer.position_embeddings.weight";
const blockPositions = "transformer.block_position_embeddings.weight";
const heads = "PEFT has no class of transformers for this GLM";

/** GLM 2B and 10B. */
export const glm: Architecture = encoder<BackboneConfig>({
  modelTypes: ["glm"],
  transformersClasses: {},
  prefix: "glm.",
  parseConfig,
  checkpointName: (name) => `glm.${name.replace(/^embeddings\./, "")}`,
  weights,
  linears: (config) => layers(config).flatMap((at) => layerLinears(config, at)),
  // A third of a bias that query and value share.
  isKeyBias: () => false,
  maxLength: ({ maxPositions }, positionOffset) => maxPositions - 1 - positionOffset,
  promptPositionOffset: () => 0,
  embed: (ctx, config, inputs, adaptation) =>
    embedThrough(ctx, config, inputs, adaptation, (words) =>
      embeddingRows(ctx, config, words, adaptation.positionOffset),
    ),
  layers: (ctx, config) => (layer, input) => glmLayer(ctx, config, layerName(layer), input),
  finish: (ctx, config, hidden) =>
    layerNorm(ctx, hidden, "transformer.final_layernorm", config.layerNormEpsilon),
  lmHead: noLmHead("GLM fills a gap with tokens of their own positions, which are not built here"),
  // The classifier of the original code: dense, tanh, and the layer of the labels.
  poolerWeights: ({ hiddenSize: E }) => linearWeights([linearLayer("pooler.dense", E, E)]),
  pool: (ctx, config, first) => ctx.b.op("Tanh", [linear(ctx, first, "pooler.dense", config.hiddenSize)]),
  peftModules: {},
  peftRefusals: { PREFIX_TUNING: heads, PROMPT_TUNING: heads, P_TUNING: heads, LORA: heads },
});

/** Words and positions: `[R, B, E]` → `[R·B, E]`. */
function embeddingRows(ctx: LayerContext, config: BackboneConfig, words: Value, first: number): Value {
  const { b } = ctx;
  const { hiddenSize: E, maxPositions } = config;
  const [rows, batch] = words.shape as [Dim, Dim];
  const own = b.slice(ctx.weight(positions, [maxPositions, E]), 0, first, addDims(rows, first));
  const outside = b.slice(ctx.weight(blockPositions, [maxPositions, E]), 0, 0, 1);
  const placed = b.op("Add", [words, b.reshape(own, [rows, 1, E])]);
  const sum = b.op("Add", [placed, outside]);
  return dropout(ctx, b.reshape(sum, [multiplyDims(rows, batch), E]), config.hiddenDropout);
}

function glmLayer(
  ctx: LayerContext,
  config: BackboneConfig,
  name: string,
  { x, mask, prompt, wanted }: LayerInput,
): Value {
  const { b } = ctx;
  const { hiddenSize: E, intermediateSize, hiddenDropout, layerNormEpsilon } = config;
  return b.scope(name, () => {
    const norm = (rows: Value, part: string): Value =>
      layerNorm(ctx, rows, `${name}.${part}`, layerNormEpsilon);
    const add = (rows: Value, update: Value): Value =>
      b.op("Add", [rows, dropout(ctx, update, hiddenDropout)]);
    const normed = norm(x, "input_layernorm");
    const mixed = attention(
      ctx,
      normed,
      mask,
      prompt,
      {
        heads: config.numHeads,
        dropoutRate: config.attentionDropout,
        project: (queries) => projectThirds(ctx, `${name}.attention.query_key_value`, queries, normed),
      },
      wanted,
    );
    const update = linear(ctx, mixed, `${name}.attention.dense`, E);
    const attended = add(wanted ? wanted.take(x) : x, update);
    const wide = linear(
      ctx,
      norm(attended, "post_attention_layernorm"),
      `${name}.mlp.dense_h_to_4h`,
      intermediateSize,
    );
    const active = activations[config.activation]!(ctx, wide);
    return add(attended, linear(ctx, active, `${name}.mlp.dense_4h_to_h`, E));
  });
}
