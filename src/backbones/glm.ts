/**
 * GLM of Du et al. 2022 (arXiv 2103.10360), 2 B and 10 B: pre-norm layers with fused projections and two learnt positions,
 * inside the text and inside what is generated. Here it reads whole texts, every token seeing every other, at the second
 * position 0. Where a text has a gap, the token that opens an answer stands in front of it: it has the gap's first
 * position, the second position 1, sees the text and is not seen by it. (GLM itself generates behind the text; where rows
 * lie is free, as positions and masks say who is where, and in the first row the last layer computes it alone.)
 *
 * Legend: B batch, S sequence, P input prompt length (0 where there is none), R = P + S, E hidden size, T columns.
 */
import * as z from "zod";
import { addDims, type Dim, multiplyDims, PtuningError, subtractDims } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import {
  activations,
  attention,
  attentionMask,
  dropout,
  type LayerContext,
  layerNorm,
  linear,
  maskedLogit,
} from "../nn/index.ts";
import type {
  Architecture,
  BackboneConfig,
  BackboneInputs,
  LinearLayer,
  WeightShapes,
} from "./architecture.ts";
import { embedThrough, wordTable } from "./embeddings.ts";
import { encoder, type LayerInput, type PromptColumns } from "./encoder.ts";
import { limits } from "./limits.ts";
import { linearLayer, linearWeights, projectThirds } from "./linear-layers.ts";
import type { LmHead } from "./lm-head.ts";
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

/** The word table itself, on normalised states. */
const lmHead: LmHead = {
  weights: () => ({}),
  table: wordTable,
  transform: (_, __, hidden) => hidden,
  answers: "first",
};

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
      embeddingRows(ctx, config, inputs, words, adaptation.positionOffset),
    ),
  mask: (ctx, _, { attentionMask: padding, hasGaps = false }, columns) => {
    const mask = attentionMask(ctx, padding, columns.deep + columns.input);
    return hasGaps ? ctx.b.op("Add", [mask, answerMask(ctx, padding.shape[0]!, columns)]) : mask;
  },
  layers: (ctx, config) => (layer, input) => glmLayer(ctx, config, layerName(layer), input),
  finish: (ctx, config, hidden) =>
    layerNorm(ctx, hidden, "transformer.final_layernorm", config.layerNormEpsilon),
  lmHead,
  // The classifier of the original code: dense, tanh, and the layer of the labels.
  poolerWeights: ({ hiddenSize: E }) => linearWeights([linearLayer("pooler.dense", E, E)]),
  pool: (ctx, config, first) => ctx.b.op("Tanh", [linear(ctx, first, "pooler.dense", config.hiddenSize)]),
  peftModules: {},
  peftRefusals: { PREFIX_TUNING: heads, PROMPT_TUNING: heads, P_TUNING: heads, LORA: heads },
});

/**
 * Words and positions: `[R, B, E]` → `[R·B, E]`.
 * @param first position of the first row
 */
function embeddingRows(
  ctx: LayerContext,
  config: BackboneConfig,
  inputs: BackboneInputs,
  words: Value,
  first: number,
): Value {
  const { b } = ctx;
  const { hiddenSize: E, maxPositions } = config;
  const [rows, batch] = words.shape as [Dim, Dim];
  const table = ctx.weight(positions, [maxPositions, E]);
  const blocks = ctx.weight(blockPositions, [maxPositions, E]);
  const outside = b.slice(blocks, 0, 0, 1);
  const sum = inputs.hasGaps
    ? b.op("Add", [words, answerPlaces(ctx, inputs, words, first, { table, blocks, outside })])
    : b.op("Add", [
        b.op("Add", [words, b.reshape(b.slice(table, 0, first, addDims(rows, first)), [rows, 1, E])]),
        outside,
      ]);
  return dropout(ctx, b.reshape(sum, [multiplyDims(rows, batch), E]), config.hiddenDropout);
}

/** Rows of the two tables. */
interface PositionTables {
  /** `[N, E]` */
  readonly table: Value;
  /** `[N, E]` */
  readonly blocks: Value;
  /** The first of `blocks`, `[1, E]`. */
  readonly outside: Value;
}

/** Positions of the prompt, the answer and the text behind it, whose mask is marked: `[R, B, E]`. */
function answerPlaces(
  { b }: LayerContext,
  { inputIds, markedRows }: BackboneInputs,
  words: Value,
  first: number,
  { table, blocks, outside }: PositionTables,
): Value {
  const [rows, batch, E] = words.shape as [Dim, Dim, number];
  const prompt = subtractDims(rows, inputIds.shape[0]!) as number;
  const text = subtractDims(inputIds.shape[0]!, 1);
  const start = first + prompt;
  /** `[N, B, E]` of consecutive positions. */
  const outsideRows = (from: number, count: Dim): Value => {
    const own = b.op("Add", [b.slice(table, 0, from, addDims(count, from)), outside]);
    return b.expand(b.reshape(own, [count, 1, E]), [count, batch, E]);
  };
  // The text has a row less in front of it than the sequence.
  const marked = b.op("Cast", [b.reshape(markedRows!, [batch])], { to: "int64" });
  const gap = b.op("Sub", [marked, b.dims([batch])]);
  const own = b.slice(table, 0, start, addDims(text, start));
  const spread = b.expand(b.reshape(own, [text, 1, E]), [text, batch, E]);
  const atGap = b.op("Gather", [b.reshape(spread, [multiplyDims(text, batch), E]), gap], { axis: 0 });
  const answer = b.reshape(b.op("Add", [atGap, b.slice(blocks, 0, 1, 2)]), [1, batch, E]);
  const parts = [...(prompt > 0 ? [outsideRows(first, prompt)] : []), answer, outsideRows(start, text)];
  return b.op("Concat", parts, { axis: 0 });
}

/** Closes the answer's column to all rows but its own: `[1, 1, R, T]`. */
function answerMask({ b }: LayerContext, length: Dim, { deep, input }: PromptColumns): Value {
  /** A row of `outer` with `inner` at one place. */
  const except = (outer: number, before: number, inner: number): Value => {
    const stretch = (count: Dim): Value[] => (count === 0 ? [] : [b.expand(b.scalar(outer), [count])]);
    return b.op(
      "Concat",
      [...stretch(before), b.expand(b.scalar(inner), [1]), ...stretch(subtractDims(length, 1))],
      { axis: 0 },
    );
  };
  const others = b.reshape(except(1, input, 0), [1, 1, addDims(length, input), 1]);
  const column = b.reshape(except(0, deep + input, maskedLogit), [1, 1, 1, addDims(length, deep + input)]);
  return b.op("Mul", [others, column]);
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
    return add(attended, linear(ctx, active, `${name}.mlp.dense_4h_to_h`, E, { hasUnevenRows: true }));
  });
}
