/**
 * DeBERTa v1, v2 and v3: He et al. 2021, arXiv 2006.03654 and 2111.09543; `DebertaModel` and `DebertaV2Model` in
 * transformers. Post-norm layers with disentangled attention. Columns of a deep prompt have no position, as in the code of
 * P-Tuning v2 (`model/deberta.py`).
 *
 * Legend: B batch, R rows, E hidden size, M span of relative positions, K width of the convolution.
 */
import { addDims, type Dim, multiplyDims } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import {
  activations,
  affine,
  attention,
  dropout,
  type LayerContext,
  layerNorm,
  linear,
  type Projected,
} from "../nn/index.ts";
import type { Architecture, BackboneInputs, LinearLayer, WeightShapes } from "./architecture.ts";
import { type DebertaConfig, parseDebertaConfig, rowOf } from "./deberta-config.ts";
import { type DisentangledLayer, disentangled, type RelativePositions } from "./disentangled.ts";
import { addTables, embedThrough, tableWeights } from "./embeddings.ts";
import { encoder, type LayerInput } from "./encoder.ts";
import { linearLayer, linearWeights } from "./linear-layers.ts";
import { noLmHead } from "./lm-head.ts";
import { denseLinears, normWeights, postNormLayer } from "./post-norm.ts";

const layerName = (layer: number): string => `encoder.layer.${layer}`;
const positionTable = "encoder.rel_embeddings.weight";
const positionNorm = "encoder.LayerNorm";
const conv = "encoder.conv.conv";

/** In what versions differ: how content and positions are projected. */
interface Projections {
  /** The linear layers of content at `….attention.self`. */
  linears(config: DebertaConfig, at: string): readonly LinearLayer[];
  /** The other weights there. */
  others(config: DebertaConfig, at: string): WeightShapes;
  project(ctx: LayerContext, config: DebertaConfig, at: string, queries: Value, x: Value): Projected;
  positions(ctx: LayerContext, config: DebertaConfig, at: string): Pick<DisentangledLayer, "key" | "query">;
  isKeyBias(name: string): boolean;
}

/** One matrix for query, key and value, head by head; biases of query and value alone. */
const fused: Projections = {
  linears: ({ hiddenSize: E }, at) => [
    { ...linearLayer(`${at}.in_proj`, E, 3 * E, false), kinds: ["query", "key", "value"] },
  ],
  others: ({ hiddenSize: E, kinds }, at) => ({
    [`${at}.q_bias`]: [E],
    [`${at}.v_bias`]: [E],
    ...(kinds.includes("c2p") && { [`${at}.pos_proj.weight`]: [E, E] }),
    ...(kinds.includes("p2c") && linearWeights([linearLayer(`${at}.pos_q_proj`, E, E)])),
  }),
  project(ctx, { hiddenSize: E, numHeads }, at, queries, x) {
    const { b } = ctx;
    const parts = (rows: Value): Value[] => {
      const all = linear(ctx, rows, `${at}.in_proj`, 3 * E, { hasBias: false });
      const byHead = b.reshape(all, [rows.shape[0]!, numHeads, 3, E / numHeads]);
      return b
        .ops("Split", 3, [byHead, b.integers([1, 1, 1])], { axis: 2 })
        .map((part) => b.reshape(part, [rows.shape[0]!, E]));
    };
    const [own, key, value] = parts(x) as [Value, Value, Value];
    const query = queries === x ? own : parts(queries)[0]!;
    const biased = (rows: Value, name: string): Value =>
      b.op("Add", [rows, ctx.weight(`${at}.${name}`, [E])]);
    return { query: biased(query, "q_bias"), key, value: biased(value, "v_bias") };
  },
  positions: (ctx, { hiddenSize: E, kinds }, at) => ({
    ...(kinds.includes("c2p") && {
      key: {
        weights: [`${at}.pos_proj.weight`],
        project: (rows) => affine(ctx, rows, ctx.weight(`${at}.pos_proj.weight`, [E, E])),
      },
    }),
    ...(kinds.includes("p2c") && { query: separate(ctx, E, `${at}.pos_q_proj`) }),
  }),
  // Keys have no bias, and no bias of positions as keys either.
  isKeyBias: () => false,
};

/** A matrix each, positions through those of content or through their own. */
const separated: Projections = {
  linears: ({ hiddenSize: E }, at) =>
    ["query", "key", "value"].map((name) => ({ ...linearLayer(`${at}.${name}_proj`, E, E), kinds: [name] })),
  others: ({ hiddenSize: E, kinds, sharesProjections }, at) =>
    sharesProjections
      ? {}
      : linearWeights([
          ...(kinds.includes("c2p") ? [linearLayer(`${at}.pos_key_proj`, E, E)] : []),
          ...(kinds.includes("p2c") ? [linearLayer(`${at}.pos_query_proj`, E, E)] : []),
        ]),
  project(ctx, { hiddenSize: E }, at, queries, x) {
    const project = (rows: Value, name: string): Value => linear(ctx, rows, `${at}.${name}_proj`, E);
    return { query: project(queries, "query"), key: project(x, "key"), value: project(x, "value") };
  },
  positions(ctx, { hiddenSize: E, kinds, sharesProjections }, at) {
    const of = (name: string): NonNullable<DisentangledLayer["key"]> =>
      sharesProjections
        ? {
            weights: [`${at}.${name}_proj.weight`, `${at}.${name}_proj.bias`],
            project: (rows) => linear(ctx, rows, `${at}.${name}_proj`, E),
          }
        : separate(ctx, E, `${at}.pos_${name}_proj`);
    return {
      ...(kinds.includes("c2p") && { key: of("key") }),
      ...(kinds.includes("p2c") && { query: of("query") }),
    };
  },
  // It adds the same to all columns of the text; the bias of content's keys does not, as positions ask for it.
  isKeyBias: (name) => name.endsWith(".pos_key_proj.bias"),
};

/** A linear layer for positions alone, in full precision: it is computed once. */
function separate(ctx: LayerContext, E: number, name: string): NonNullable<DisentangledLayer["key"]> {
  return {
    weights: [`${name}.weight`, `${name}.bias`],
    project: (rows) =>
      affine(ctx, rows, ctx.weight(`${name}.weight`, [E, E]), ctx.weight(`${name}.bias`, [E])),
  };
}

function debertaOf(
  facts: Pick<Architecture, "modelTypes" | "transformersClasses">,
  projections: Projections,
): Architecture<DebertaConfig> {
  const names = ({ numLayers }: DebertaConfig): string[] =>
    Array.from({ length: numLayers }, (_, i) => layerName(i));
  const linears = (config: DebertaConfig): LinearLayer[] =>
    names(config).flatMap((at) => [
      ...projections.linears(config, `${at}.attention.self`),
      ...denseLinears(config, at),
    ]);
  return encoder<DebertaConfig>({
    ...facts,
    prefix: "deberta.",
    parseConfig: parseDebertaConfig,
    // The pooler belongs to the head there.
    checkpointName: (name) => (name.startsWith("pooler.") ? name : `deberta.${name}`),
    weights: (config) => ({
      ...embeddingWeights(config),
      ...linearWeights(linears(config)),
      ...normWeights(config, names(config)),
      ...Object.assign({}, ...names(config).map((at) => projections.others(config, `${at}.attention.self`))),
      ...sharedWeights(config),
    }),
    linears,
    isKeyBias: projections.isKeyBias,
    maxLength: ({ maxPositions }, positionOffset) => maxPositions - positionOffset,
    // The code of P-Tuning v2 moves absolute positions; relative ones stay.
    promptPositionOffset: (promptLength, { hasAbsolutePositions }) =>
      hasAbsolutePositions ? promptLength : 0,
    embed(ctx, config, inputs, adaptation) {
      return embedThrough(ctx, config, inputs, adaptation, (words, types) =>
        embeddingRows(ctx, config, words, types, adaptation.positionOffset),
      );
    },
    layers(ctx, config, inputs) {
      const positions = relativePositions(ctx, config);
      const attend = (name: string, { x, mask, prompt, wanted }: LayerInput): Value => {
        const at = `${name}.attention.self`;
        const scale = 1 / Math.sqrt((config.hiddenSize / config.numHeads) * (1 + config.kinds.length));
        const layer: DisentangledLayer = {
          ...projections.positions(ctx, config, at),
          scale,
          dropoutRate: config.hiddenDropout,
        };
        return attention(
          ctx,
          x,
          mask,
          prompt,
          {
            heads: config.numHeads,
            dropoutRate: config.attentionDropout,
            scale,
            project: (queries) => projections.project(ctx, config, at, queries, x),
            ...(config.kinds.length > 0 && positions && { positions: disentangled(ctx, positions, layer) }),
          },
          wanted,
        );
      };
      return (i, input) => {
        const { convolution } = config;
        if (i > 0 || convolution === undefined) {
          return postNormLayer(ctx, config, layerName(i), input, { attend });
        }
        const { wanted, ...whole } = input;
        const y = postNormLayer(ctx, config, layerName(i), whole, { attend });
        const out = convolve(ctx, config, convolution, input.x, y, inputs);
        return wanted ? wanted.take(out) : out;
      };
    },
    lmHead: noLmHead(
      "DeBERTa was pretrained to guess them with an enhanced mask decoder, not with a head alone",
    ),
    poolerWeights: ({ hiddenSize: E }) => linearWeights([linearLayer("pooler.dense", E, E)]),
    pool: (ctx, config, first) =>
      activations[config.poolerActivation]!(ctx, linear(ctx, first, "pooler.dense", config.hiddenSize)),
    peftModules: {},
    peftRefusals: { PREFIX_TUNING: "transformers' DeBERTa takes no keys and values from outside" },
  });
}

function embeddingWeights(config: DebertaConfig): WeightShapes {
  const { embeddingSize: W, hiddenSize: E } = config;
  return {
    ...tableWeights(config, config.hasAbsolutePositions),
    ...(W !== E && { "embeddings.embed_proj.weight": [E, W] }),
    "embeddings.LayerNorm.weight": [E],
    "embeddings.LayerNorm.bias": [E],
  };
}

/** Weights that layers share, and those of the convolution. */
function sharedWeights(config: DebertaConfig): WeightShapes {
  const { hiddenSize: E, span, isRelative, normalisesPositions, convolution } = config;
  const norm = (name: string): WeightShapes => ({ [`${name}.weight`]: [E], [`${name}.bias`]: [E] });
  return {
    ...(isRelative && { [positionTable]: [2 * span, E] }),
    ...(normalisesPositions && norm(positionNorm)),
    ...(convolution && {
      [`${conv}.weight`]: [E, E, convolution.width],
      [`${conv}.bias`]: [E],
      ...norm("encoder.conv.LayerNorm"),
    }),
  };
}

/** Words, positions and segments where there are any, at the width of hidden states and normalised: `[R·B, E]`. */
function embeddingRows(
  ctx: LayerContext,
  config: DebertaConfig,
  words: Value,
  types: Value | undefined,
  firstPosition: number,
): Value {
  const { embeddingSize: W, hiddenSize: E } = config;
  const flat = addTables(ctx, config, words, types, config.hasAbsolutePositions ? firstPosition : undefined);
  const wide = W === E ? flat : affine(ctx, flat, ctx.weight("embeddings.embed_proj.weight", [E, W]));
  const normed = layerNorm(ctx, wide, "embeddings.LayerNorm", config.layerNormEpsilon);
  return dropout(ctx, normed, config.hiddenDropout);
}

function relativePositions(ctx: LayerContext, config: DebertaConfig): RelativePositions | undefined {
  if (!config.isRelative) return undefined;
  const { hiddenSize: E, span, normalisesPositions, layerNormEpsilon, maxPositions } = config;
  const stored = ctx.weight(positionTable, [2 * span, E]);
  return {
    table: normalisesPositions ? layerNorm(ctx, stored, positionNorm, layerNormEpsilon) : stored,
    weights: [
      positionTable,
      ...(normalisesPositions ? [`${positionNorm}.weight`, `${positionNorm}.bias`] : []),
    ],
    rowOf: rowOf(config),
    maxRows: maxPositions,
  };
}

/** LN(y + act(convolution of the embeddings)), with nothing in the place of padding (`ConvLayer` in transformers). */
function convolve(
  ctx: LayerContext,
  config: DebertaConfig,
  { width, activation: name }: NonNullable<DebertaConfig["convolution"]>,
  embedded: Value,
  y: Value,
  { attentionMask }: BackboneInputs,
): Value {
  const { b } = ctx;
  const { hiddenSize: E, hiddenDropout, layerNormEpsilon } = config;
  const [length, batch] = attentionMask.shape as [Dim, Dim];
  const rows = embedded.shape[0]!;
  return b.scope("convolution", () => {
    const kept = keptRows(ctx, attentionMask, rows, multiplyDims(length, batch));
    const x = b.op("Mul", [embedded, kept]);
    const reach = (width - 1) / 2;
    const padding = multiplyDims(reach, batch);
    const padded = b.op("Pad", [x, b.dims([padding, 0, padding, 0])]);
    // The kernel's index is the innermost, as it is in the weight.
    const stacked = Array.from({ length: width }, (_, k) => {
      const first = multiplyDims(k, batch);
      return b.reshape(b.slice(padded, 0, first, addDims(first, rows)), [rows, E, 1]);
    });
    const columns = b.reshape(b.op("Concat", stacked, { axis: 2 }), [rows, E * width]);
    const weight = b.reshape(ctx.weight(`${conv}.weight`, [E, E, width]), [E, E * width]);
    const found = b.op("Mul", [affine(ctx, columns, weight, ctx.weight(`${conv}.bias`, [E])), kept]);
    const active = activations[name]!(ctx, dropout(ctx, found, hiddenDropout));
    const normed = layerNorm(ctx, b.op("Add", [y, active]), "encoder.conv.LayerNorm", layerNormEpsilon);
    return b.op("Mul", [normed, kept]);
  });
}

/** 1 for rows of prompts and tokens, 0 for padding: `[R·B, 1]`. */
function keptRows({ b }: LayerContext, mask: Value, rows: Dim, textRows: Dim): Value {
  const text = b.reshape(b.op("Cast", [mask], { to: "float32" }), [textRows, 1]);
  if (rows === textRows) return text;
  const prompt = b.expand(b.scalar(1), [addDims(rows, multiplyDims(textRows, -1)), 1]);
  return b.op("Concat", [prompt, text], { axis: 0 });
}

/** DeBERTa (v1). */
export const deberta: Architecture<DebertaConfig> = debertaOf(
  { modelTypes: ["deberta"], transformersClasses: { deberta: "Deberta" } },
  fused,
);

/** DeBERTa v2 and v3. */
export const debertaV2: Architecture<DebertaConfig> = debertaOf(
  { modelTypes: ["deberta-v2"], transformersClasses: { "deberta-v2": "DebertaV2" } },
  separated,
);
