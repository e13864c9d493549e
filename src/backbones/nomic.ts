/**
 * NomicBERT: Nussbaum et al. 2024, arXiv 2402.01613; `NomicBertModel` in transformers. BERT's post-norm encoder with rotary
 * positions, a gated feed-forward and no biases in linear layers. Columns of a deep prompt are not turned.
 *
 * Legend: E hidden size, I width of a gate.
 */
import * as z from "zod";
import type { Value } from "../graph/index.ts";
import {
  type AttentionPositions,
  activations,
  attention,
  dropout,
  type LayerContext,
  layerNorm,
  linear,
} from "../nn/index.ts";
import type { Architecture, BackboneConfig, LinearLayer } from "./architecture.ts";
import { addTables, embedThrough, tableWeights } from "./embeddings.ts";
import { encoder, type LayerInput } from "./encoder.ts";
import { limits } from "./limits.ts";
import { linearLayer, linearWeights } from "./linear-layers.ts";
import { lmHead, lmHeadCheckpointName } from "./lm-head.ts";
import { encoderKeys, parseConfigWith, rate, size, width } from "./parse.ts";
import { evenHeads, hasEvenHeads, rotary } from "./rotary.ts";
import { renamed } from "./weight-names.ts";

interface NomicConfig extends BackboneConfig {
  /** Base of the angles. */
  readonly theta: number;
}

const theta = z.number().positive();
const absent = z.literal(false).default(false);

/** Keys of `config.json`, with the values that transformers assumes where one is missing. */
const schema = z
  .object({
    ...encoderKeys,
    max_position_embeddings: size.max(limits.positions).default(2048),
    type_vocab_size: z.int().nonnegative().max(limits.vocabulary).default(2),
    pad_token_id: z.int().nonnegative().nullish(),
    layer_norm_eps: z.number().positive().default(1e-12),
    hidden_act: z.enum([...Object.keys(activations), "swiglu"]).default("silu"),
    hidden_dropout_prob: rate.default(0),
    attention_probs_dropout_prob: rate.default(0),
    initializer_range: z.number().positive().default(0.02),
    tie_word_embeddings: z.boolean().default(true),
    head_dim: width.nullish(),
    rope_parameters: z
      .looseObject({ rope_type: z.literal("default").default("default"), rope_theta: theta.default(1000) })
      .nullish(),
    rotary_emb_base: theta.default(1000),
    // What the authors' own code has besides, and published models of this kind do without.
    rotary_emb_fraction: z.literal(1).default(1),
    rotary_emb_interleaved: absent,
    rotary_emb_scale_base: z.null().default(null),
    rotary_scaling_factor: z.null().default(null),
    causal: absent,
    prenorm: absent,
    parallel_block: absent,
    use_rms_norm: absent,
    qkv_proj_bias: absent,
    mlp_fc1_bias: absent,
    mlp_fc2_bias: absent,
    moe_every_n_layers: z.literal(0).default(0),
  })
  .refine(hasEvenHeads, evenHeads)
  .refine(({ head_dim: D, hidden_size: E, num_attention_heads: H }) => !D || D * H === E, {
    path: ["head_dim"],
    message: "expected hidden_size divided by num_attention_heads",
  });

/** What the authors' own code calls keys of transformers. */
const ownKeys = {
  hidden_size: "n_embd",
  num_hidden_layers: "n_layer",
  num_attention_heads: "n_head",
  intermediate_size: "n_inner",
  max_position_embeddings: "n_positions",
  layer_norm_eps: "layer_norm_epsilon",
  hidden_act: "activation_function",
  hidden_dropout_prob: "resid_pdrop",
  attention_probs_dropout_prob: "attn_pdrop",
};

function parseConfig(json: unknown, where: string): NomicConfig {
  const config = parseConfigWith(schema, json, where, ownKeys);
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
    padTokenId: config.pad_token_id ?? 0,
    tiesWordEmbeddings: config.tie_word_embeddings,
    layerNormEpsilon: config.layer_norm_eps,
    activation: config.hidden_act === "swiglu" ? "silu" : config.hidden_act,
    hiddenDropout: config.hidden_dropout_prob,
    attentionDropout: config.attention_probs_dropout_prob,
    initializerRange: config.initializer_range,
    theta: config.rope_parameters?.rope_theta ?? config.rotary_emb_base,
  };
}

const layerName = (layer: number): string => `layers.${layer}`;
const layerNames = ({ numLayers }: BackboneConfig): string[] =>
  Array.from({ length: numLayers }, (_, layer) => layerName(layer));

function layerLinears({ hiddenSize: E, intermediateSize: I }: BackboneConfig, at: string): LinearLayer[] {
  const mixer = (name: string, kind: string): LinearLayer => ({
    ...linearLayer(`${at}.self_attn.${name}_proj`, E, E, false),
    kinds: [kind],
  });
  return [
    ...[mixer("q", "query"), mixer("k", "key"), mixer("v", "value")],
    linearLayer(`${at}.self_attn.o_proj`, E, E, false),
    linearLayer(`${at}.mlp.gate_proj`, E, I, false),
    linearLayer(`${at}.mlp.up_proj`, E, I, false),
    linearLayer(`${at}.mlp.down_proj`, I, E, false),
  ];
}

/** Layer norms of a layer: behind attention, and behind the feed-forward. */
const norms = ["post_attention_layernorm", "post_mlp_layernorm"] as const;

const lmHeadNames = {
  dense: "cls.predictions.transform.dense",
  norm: "cls.predictions.transform.layer_norm",
  bias: "cls.predictions.bias",
};
const poolerModule = "pooler.dense";
const prefix = "nomic_bert.";

/** The authors' names of weights, in which all models were published, as transformers has them. */
function piecesOf(theirs: string): readonly string[] | undefined {
  const name = renamed(theirs, [
    [/^((?:module\.)?(?:0\.auto_model\.)?)bert\./, `$1${prefix}`],
    ["encoder.layers.", "layers."],
    ["emb_ln.", "embeddings.LayerNorm."],
    [".attn.out_proj.", ".self_attn.o_proj."],
    [".fc11.", ".up_proj."],
    [".fc12.", ".gate_proj."],
    [".fc2.", ".down_proj."],
    [".norm1.", `.${norms[0]}.`],
    [".norm2.", `.${norms[1]}.`],
  ]);
  if (!name.includes(".attn.Wqkv.")) return [name];
  return ["q", "k", "v"].map((part) => name.replace(".attn.Wqkv.", `.self_attn.${part}_proj.`));
}

export const nomic: Architecture<NomicConfig> = encoder<NomicConfig>({
  modelTypes: ["nomic_bert"],
  transformersClasses: { nomic_bert: "NomicBert" },
  prefix,
  parseConfig,
  checkpointName: (name) => lmHeadCheckpointName(lmHeadNames, name) ?? `${prefix}${name}`,
  piecesOf,
  weights: (config) => {
    const names = [
      "embeddings.LayerNorm",
      ...layerNames(config).flatMap((at) => norms.map((n) => `${at}.${n}`)),
    ];
    return {
      ...tableWeights(config, false),
      ...linearWeights(layerNames(config).flatMap((at) => layerLinears(config, at))),
      ...Object.fromEntries(
        names.flatMap((name) => ["weight", "bias"].map((part) => [`${name}.${part}`, [config.hiddenSize]])),
      ),
    };
  },
  linears: (config) => layerNames(config).flatMap((at) => layerLinears(config, at)),
  isKeyBias: () => false,
  maxLength: ({ maxPositions }, positionOffset) => maxPositions - positionOffset,
  promptPositionOffset: () => 0,
  embed: (ctx, config, inputs, adaptation) =>
    embedThrough(ctx, config, inputs, adaptation, (words, types) => {
      const sum = addTables(ctx, config, words, types, undefined);
      const normed = layerNorm(ctx, sum, "embeddings.LayerNorm", config.layerNormEpsilon);
      return dropout(ctx, normed, config.hiddenDropout);
    }),
  layers: (ctx, config) => {
    const positions = rotary(ctx, config, config.theta);
    return (layer, input) => nomicLayer(ctx, config, layerName(layer), input, positions);
  },
  lmHead: lmHead(lmHeadNames),
  poolerWeights: ({ hiddenSize }) => ({
    [`${poolerModule}.weight`]: [hiddenSize, hiddenSize],
    [`${poolerModule}.bias`]: [hiddenSize],
  }),
  pool: (ctx, { hiddenSize }, first) => activations.tanh!(ctx, linear(ctx, first, poolerModule, hiddenSize)),
  peftModules: {},
  peftRefusals: {
    PREFIX_TUNING: "transformers' NomicBERT takes no keys and values from outside",
    QUESTION_ANS: "transformers has no NomicBERT for answers",
  },
});

function nomicLayer(
  ctx: LayerContext,
  config: NomicConfig,
  name: string,
  { x, mask, prompt, wanted }: LayerInput,
  positions: AttentionPositions,
): Value {
  const { b } = ctx;
  const { hiddenSize: E, intermediateSize: I, hiddenDropout, layerNormEpsilon } = config;
  const plain = (rows: Value, part: string, outputs: number): Value =>
    linear(ctx, rows, `${name}.${part}`, outputs, { hasBias: false });
  const addAndNormalise = (update: Value, residual: Value, norm: string): Value =>
    layerNorm(
      ctx,
      b.op("Add", [residual, dropout(ctx, update, hiddenDropout)]),
      `${name}.${norm}`,
      layerNormEpsilon,
    );
  return b.scope(name, () => {
    const mixed = attention(
      ctx,
      x,
      mask,
      prompt,
      {
        heads: config.numHeads,
        dropoutRate: config.attentionDropout,
        positions,
        project: (queries) => ({
          query: plain(queries, "self_attn.q_proj", E),
          key: plain(x, "self_attn.k_proj", E),
          value: plain(x, "self_attn.v_proj", E),
        }),
      },
      wanted,
    );
    const rows = wanted ? wanted.take(x) : x;
    const attended = addAndNormalise(plain(mixed, "self_attn.o_proj", E), rows, norms[0]);
    const gate = activations[config.activation]!(ctx, plain(attended, "mlp.gate_proj", I));
    const gated = b.op("Mul", [gate, plain(attended, "mlp.up_proj", I)]);
    return addAndNormalise(plain(gated, "mlp.down_proj", E), attended, norms[1]);
  });
}
