/** Legend: B batch, S text, P input prompt, R = P + S, T columns of a deep prompt and R, H heads. */
import * as z from "zod";
import { addDims, type Dim } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { attentionMask, behindColumns, type LayerContext } from "../nn/index.ts";
import type { Architecture, BackboneConfig, BackboneInputs } from "./architecture.ts";
import type { PromptColumns } from "./encoder.ts";
import { parseConfigWith } from "./parse.ts";
import { postNormEncoder } from "./post-norm.ts";

interface MpnetConfig extends BackboneConfig {
  /** Rows of the table of relative positions. */
  readonly relativeBuckets: number;
}

const table = "encoder.relative_attention_bias.weight";
/** Distances from this one on share a bucket; fixed in the reference implementation. */
const farthest = 128;
/** Row of the position table of the first token, whatever the padding index (`MPNetEmbeddings.padding_idx`). */
const firstPosition = 2;

/**
 * MPNet: Song et al. 2020, arXiv 2004.09297; `MPNetModel` in transformers. BERT's layers, RoBERTa's positions without
 * segments, and one table of biases by relative position for all layers. Prompts have no position: no bias is added to
 * their columns, and texts stay at their own positions behind them.
 */
export const mpnet: Architecture<MpnetConfig> = postNormEncoder<MpnetConfig>({
  modelTypes: ["mpnet"],
  transformersClasses: { mpnet: "MPNet" },
  prefix: "mpnet.",
  defaults: { padTokenId: 1, typeVocabSize: 0 },
  renames: [
    [".attention.self.query.", ".attention.attn.q."],
    [".attention.self.key.", ".attention.attn.k."],
    [".attention.self.value.", ".attention.attn.v."],
    [".attention.output.dense.", ".attention.attn.o."],
    [".attention.output.LayerNorm.", ".attention.LayerNorm."],
  ],
  lmHead: { dense: "lm_head.dense", norm: "lm_head.layer_norm", bias: "lm_head.bias", activation: "gelu" },
  firstPosition: () => firstPosition,
  promptPositionOffset: () => 0,
  parseOwn(config, json, where) {
    const own = parseConfigWith(schema, json, where);
    // Some configurations carry `type_vocab_size`; there is no such table.
    return { ...config, typeVocabSize: 0, relativeBuckets: own.relative_attention_num_buckets };
  },
  ownWeights: ({ relativeBuckets, numHeads }) => ({ [table]: [relativeBuckets, numHeads] }),
  mask: relativeMask,
  peftRefusals: { PREFIX_TUNING: "transformers' MPNet takes no keys and values from outside" },
  // `MPNetClassificationHead`: as RoBERTa's, its like of the pooler is part of the classifier.
  peftModules: {
    SEQ_CLS: {
      "pooler.dense": "base_model.classifier.dense",
      "base_model.classifier": "base_model.classifier.out_proj",
    },
  },
});

const schema = z.object({
  relative_attention_num_buckets: z.int().min(4).max(10_000).multipleOf(2).default(32),
});

/** Padding and relative positions: `[B, H, R, T]`, for all layers alike. */
function relativeMask(
  ctx: LayerContext,
  config: MpnetConfig,
  { attentionMask: padding }: BackboneInputs,
  { deep, input }: PromptColumns,
): Value {
  const { b } = ctx;
  const { relativeBuckets, numHeads, maxPositions } = config;
  const rows = addDims(padding.shape[0] as Dim, input);
  return b.scope("relative positions", () => {
    const most = maxPositions - firstPosition;
    const all = b.initializer("relative buckets", {
      dtype: "int32",
      shape: [1, most, most],
      data: bucketMatrix(most, relativeBuckets),
    });
    const buckets = b.slice(b.slice(all, 1, 0, rows), 2, 0, rows);
    const biases = b.op("Gather", [ctx.weight(table, [relativeBuckets, numHeads]), buckets], { axis: 0 });
    const byHead = b.op("Transpose", [biases], { perm: [0, 3, 1, 2] });
    return b.op("Add", [attentionMask(ctx, padding, deep + input), behindColumns(b, byHead, deep)]);
  });
}

/** The bucket of each query (row) and key (column) by their distance, `[rows, rows]`. */
function bucketMatrix(rows: number, buckets: number): Int32Array {
  const matrix = new Int32Array(rows * rows);
  for (let query = 0; query < rows; query++)
    for (let key = 0; key < rows; key++) matrix[query * rows + key] = relativeBucket(key - query, buckets);
  return matrix;
}

/**
 * Half the buckets for keys behind the query, half for others; of each half the first are for one distance each, the
 * others grow with its logarithm (`relative_position_bucket` in transformers).
 */
function relativeBucket(keyMinusQuery: number, buckets: number): number {
  const half = buckets / 2;
  const side = keyMinusQuery > 0 ? half : 0;
  const distance = Math.abs(keyMinusQuery);
  const exact = half / 2;
  if (distance < exact) return side + distance;
  const grown =
    exact + Math.trunc((Math.log(distance / exact) / Math.log(farthest / exact)) * (half - exact));
  return side + Math.min(grown, half - 1);
}
