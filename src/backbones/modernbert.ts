/**
 * ModernBERT: Warner et al. 2024, arXiv 2412.13663; `ModernBertModel` in transformers. Pre-norm layers with gated
 * feed-forwards and rotary positions; most layers see a window around each token. Columns of a deep prompt are not turned
 * and seen from everywhere.
 *
 * Legend: B batch, R rows, T columns of a deep prompt and R, H heads, D head width, E hidden size, I width of a gate.
 */
import * as z from "zod";
import { addDims, type Dim, floats, multiplyDims } from "../core/index.ts";
import type { GraphBuilder, Value } from "../graph/index.ts";
import {
  type AttentionPositions,
  activations,
  attention,
  behindColumns,
  dropout,
  type LayerContext,
  layerNorm,
  linear,
  rowsPerExample,
} from "../nn/index.ts";
import type { Architecture, BackboneConfig, LinearLayer, WeightShapes } from "./architecture.ts";
import { embedThrough, wordTable } from "./embeddings.ts";
import { encoder, type LayerInput } from "./encoder.ts";
import { limits } from "./limits.ts";
import { linearLayer, linearWeights, projectThirds } from "./linear-layers.ts";
import { encoderKeys, parseConfigWith, rate, size } from "./parse.ts";
import { evenHeads, hasEvenHeads, rotary } from "./rotary.ts";
import { renamed } from "./weight-names.ts";

interface ModernBertConfig extends BackboneConfig {
  /** For each layer: how far its tokens see to both sides, if not everywhere, and the base of its angles. */
  readonly layers: readonly { readonly window?: number; readonly theta: number }[];
  readonly normBias: boolean;
  readonly attentionBias: boolean;
  readonly mlpBias: boolean;
  readonly headBias: boolean;
  readonly headActivation: string;
}

const flag = z.boolean();
const theta = z.number().positive();
const activation = z.enum(Object.keys(activations));
const kind = z.enum(["full_attention", "sliding_attention"]);
const rope = z.looseObject({
  rope_type: z.literal("default").default("default"),
  rope_theta: theta.exactOptional(),
});

/** Keys of `config.json`, with the values that transformers assumes where one is missing. */
const schema = z
  .object({
    ...encoderKeys,
    max_position_embeddings: size.max(limits.positions).default(8192),
    pad_token_id: z.int().nonnegative().default(50_283),
    norm_eps: z.number().positive().default(1e-5),
    norm_bias: flag.default(false),
    hidden_activation: activation.default("gelu"),
    attention_bias: flag.default(false),
    attention_dropout: rate.default(0),
    mlp_bias: flag.default(false),
    mlp_dropout: rate.default(0),
    classifier_bias: flag.default(false),
    classifier_activation: activation.default("gelu"),
    decoder_bias: z.literal(true).default(true),
    initializer_range: z.number().positive().default(0.02),
    tie_word_embeddings: flag.default(true),
    local_attention: size.default(128),
    global_attn_every_n_layers: size.default(3),
    layer_types: z.array(kind).max(limits.layers).nullish(),
    global_rope_theta: theta.default(160_000),
    local_rope_theta: theta.default(10_000),
    rope_parameters: z
      .object({ full_attention: rope.nullish(), sliding_attention: rope.nullish() })
      .nullish(),
    rope_scaling: z.null().default(null),
  })
  .refine(hasEvenHeads, evenHeads)
  .refine(({ layer_types: types, num_hidden_layers: layers }) => !types || types.length === layers, {
    path: ["layer_types"],
    message: "expected one for each layer",
  });

function parseConfig(json: unknown, where: string): ModernBertConfig {
  const config = parseConfigWith(schema, json, where);
  const { rope_parameters: ropes, global_attn_every_n_layers: every } = config;
  const layers = Array.from({ length: config.num_hidden_layers }, (_, layer) => {
    const isLocal = config.layer_types
      ? config.layer_types[layer] === "sliding_attention"
      : layer % every !== 0;
    return isLocal
      ? {
          window: Math.floor(config.local_attention / 2),
          theta: ropes?.sliding_attention?.rope_theta ?? config.local_rope_theta,
        }
      : { theta: ropes?.full_attention?.rope_theta ?? config.global_rope_theta };
  });
  return {
    modelType: config.model_type,
    hiddenSize: config.hidden_size,
    embeddingSize: config.hidden_size,
    keyWidth: config.hidden_size,
    numLayers: config.num_hidden_layers,
    numHeads: config.num_attention_heads,
    intermediateSize: 2 * config.intermediate_size,
    vocabSize: config.vocab_size,
    maxPositions: config.max_position_embeddings,
    typeVocabSize: 0,
    padTokenId: config.pad_token_id,
    tiesWordEmbeddings: config.tie_word_embeddings,
    layerNormEpsilon: config.norm_eps,
    activation: config.hidden_activation,
    hiddenDropout: config.mlp_dropout,
    attentionDropout: config.attention_dropout,
    initializerRange: config.initializer_range,
    layers,
    normBias: config.norm_bias,
    attentionBias: config.attention_bias,
    mlpBias: config.mlp_bias,
    headBias: config.classifier_bias,
    headActivation: config.classifier_activation,
  };
}

const layerName = (layer: number): string => `layers.${layer}`;

function layerLinears(config: ModernBertConfig, at: string): LinearLayer[] {
  const { hiddenSize: E, intermediateSize, attentionBias, mlpBias } = config;
  return [
    { ...linearLayer(`${at}.attn.Wqkv`, E, 3 * E, attentionBias), kinds: ["query", "key", "value"] },
    linearLayer(`${at}.attn.Wo`, E, E, attentionBias),
    linearLayer(`${at}.mlp.Wi`, E, intermediateSize, mlpBias),
    linearLayer(`${at}.mlp.Wo`, intermediateSize / 2, E, mlpBias),
  ];
}

function normWeights({ hiddenSize: E, normBias }: ModernBertConfig, name: string): WeightShapes {
  return { [`${name}.weight`]: [E], ...(normBias && { [`${name}.bias`]: [E] }) };
}

function headWeights(config: ModernBertConfig): WeightShapes {
  const { hiddenSize: E, headBias } = config;
  return {
    ...linearWeights([linearLayer("head.dense", E, E, headBias)]),
    ...normWeights(config, "head.norm"),
  };
}

const decoderBias = "decoder.bias";
const heads = "transformers' heads on ModernBERT start with a layer of their own, which PEFT does not save";

export const modernbert: Architecture<ModernBertConfig> = encoder<ModernBertConfig>({
  modelTypes: ["modernbert"],
  transformersClasses: { modernbert: "ModernBert" },
  prefix: "model.",
  parseConfig,
  checkpointName: (name) =>
    name.startsWith("head.") || name === decoderBias
      ? name
      : `model.${renamed(name, [[/^embeddings\.word_embeddings\./, "embeddings.tok_embeddings."]])}`,
  weights: (config) => ({
    [wordTable]: [config.vocabSize, config.hiddenSize],
    ...normWeights(config, "embeddings.norm"),
    ...Object.assign(
      {},
      ...config.layers.map((_, i) => ({
        ...linearWeights(layerLinears(config, layerName(i))),
        // What comes from the embeddings is normalised already.
        ...(i > 0 && normWeights(config, `${layerName(i)}.attn_norm`)),
        ...normWeights(config, `${layerName(i)}.mlp_norm`),
      })),
    ),
    ...normWeights(config, "final_norm"),
  }),
  linears: (config) => config.layers.flatMap((_, i) => layerLinears(config, layerName(i))),
  // A third of a bias that query and value share.
  isKeyBias: () => false,
  maxLength: ({ maxPositions }, positionOffset) => maxPositions - positionOffset,
  promptPositionOffset: () => 0,
  embed: (ctx, config, inputs, adaptation) =>
    embedThrough(ctx, config, inputs, adaptation, (words) => {
      const rows = ctx.b.reshape(words, [multiplyDims(words.shape[0]!, words.shape[1]!), config.hiddenSize]);
      return dropout(ctx, norm(ctx, config, rows, "embeddings.norm"), config.hiddenDropout);
    }),
  layers(ctx, config) {
    const masks = new Map<string, Value>();
    return (i, input) => {
      const { window, theta } = config.layers[i]!;
      const mask = window === undefined ? input.mask : windowed(ctx, config, input, window, masks);
      return modernLayer(ctx, config, i, { ...input, mask }, rotary(ctx, config, theta));
    };
  },
  finish: (ctx, config, hidden) => norm(ctx, config, hidden, "final_norm"),
  lmHead: {
    weights: (config) => ({
      ...headWeights(config as ModernBertConfig),
      [decoderBias]: [config.vocabSize],
    }),
    table: wordTable,
    bias: decoderBias,
    transform: (ctx, config, hidden) => headLayer(ctx, config as ModernBertConfig, hidden),
  },
  poolerWeights: headWeights,
  pool: headLayer,
  peftModules: {},
  peftRefusals: { PREFIX_TUNING: heads, PROMPT_TUNING: heads, P_TUNING: heads, LORA: heads },
});

function norm(
  ctx: LayerContext,
  { normBias, layerNormEpsilon }: ModernBertConfig,
  x: Value,
  name: string,
): Value {
  return layerNorm(ctx, x, name, layerNormEpsilon, { hasBias: normBias });
}

/** The layer that pretraining put in front of the table of words, and a pooler for classifiers. */
function headLayer(ctx: LayerContext, config: ModernBertConfig, x: Value): Value {
  const dense = linear(ctx, x, "head.dense", config.hiddenSize, { hasBias: config.headBias });
  return norm(ctx, config, activations[config.headActivation]!(ctx, dense), "head.norm");
}

function modernLayer(
  ctx: LayerContext,
  config: ModernBertConfig,
  layer: number,
  { x, mask, prompt, wanted }: LayerInput,
  positions: AttentionPositions,
): Value {
  const { b } = ctx;
  const { hiddenSize: E, intermediateSize, attentionBias, mlpBias, hiddenDropout } = config;
  const name = layerName(layer);
  return b.scope(name, () => {
    const normed = layer === 0 ? x : norm(ctx, config, x, `${name}.attn_norm`);
    const mixed = attention(
      ctx,
      normed,
      mask,
      prompt,
      {
        heads: config.numHeads,
        dropoutRate: config.attentionDropout,
        positions,
        project: (queries) =>
          projectThirds(ctx, `${name}.attn.Wqkv`, queries, normed, { hasBias: attentionBias }),
      },
      wanted,
    );
    const update = linear(ctx, mixed, `${name}.attn.Wo`, E, { hasBias: attentionBias });
    const attended = b.op("Add", [wanted ? wanted.take(x) : x, dropout(ctx, update, hiddenDropout)]);
    const inner = norm(ctx, config, attended, `${name}.mlp_norm`);
    const wide = linear(ctx, inner, `${name}.mlp.Wi`, intermediateSize, { hasBias: mlpBias });
    const half = intermediateSize / 2;
    const [active, gate] = b.ops("Split", 2, [wide, b.integers([half, half])], { axis: 1 }) as [Value, Value];
    const gated = b.op("Mul", [activations[config.activation]!(ctx, active), gate]);
    const narrow = linear(ctx, dropout(ctx, gated, hiddenDropout), `${name}.mlp.Wo`, E, {
      hasBias: mlpBias,
      hasUnevenRows: true,
    });
    return b.op("Add", [attended, narrow]);
  });
}

/** Positions 0 … R − 1 as numbers, of all that there may be. */
function positionsOf(b: GraphBuilder, { maxPositions }: ModernBertConfig, rows: Dim): Value {
  const all = b.shared("positions", () =>
    floats(
      [maxPositions],
      Float32Array.from({ length: maxPositions }, (_, i) => i),
    ),
  );
  return b.slice(all, 0, 0, rows);
}

/**
 * A mask that also closes columns of the text further away than the window, `[B, 1, R, T]`: distances d add
 * −max(0, d² − w²) · 10⁴ / (2w + 1), which is −10⁴ and less.
 */
function windowed(
  { b }: LayerContext,
  config: ModernBertConfig,
  { x, mask, prompt }: LayerInput,
  window: number,
  known: Map<string, Value>,
): Value {
  const deep = prompt ? (prompt.key.shape[0] as number) : 0;
  const key = `${window} ${deep}`;
  const made = known.get(key);
  if (made !== undefined) return made;
  const closed = b.scope("window", () => {
    const batch = mask.shape[0]!;
    const rows = rowsPerExample(x, batch);
    const place = positionsOf(b, config, rows);
    const apart = b.op("Sub", [b.reshape(place, [rows, 1]), b.reshape(place, [1, rows])]);
    const beyond = b.op("Relu", [b.op("Sub", [b.op("Mul", [apart, apart]), b.scalar(window * window)])]);
    const logits = b.op("Mul", [beyond, b.scalar(-10_000 / (2 * window + 1))]);
    const shaped = b.reshape(behindColumns(b, logits, deep), [1, 1, rows, addDims(rows, deep)]);
    return b.op("Add", [mask, shaped]);
  });
  known.set(key, closed);
  return closed;
}
