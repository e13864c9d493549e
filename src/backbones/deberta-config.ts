import * as z from "zod";
import { activations } from "../nn/index.ts";
import type { BackboneConfig } from "./architecture.ts";
import { parseConfigWith } from "./parse.ts";
import { parseBase } from "./post-norm.ts";

/** What the configuration says of positions and of the convolution. */
export interface DebertaConfig extends BackboneConfig {
  readonly isRelative: boolean;
  /** Kinds of relative logits. */
  readonly kinds: readonly ("c2p" | "p2c")[];
  /** M: relative positions from −M to M − 1 have rows. */
  readonly span: number;
  /** Positions above are in buckets of growing width, below this many; 0 where each has its row. */
  readonly buckets: number;
  /** Relative positions that buckets reach to. */
  readonly maxRelativePositions: number;
  readonly normalisesPositions: boolean;
  /** Whether positions go through the projections of content. */
  readonly sharesProjections: boolean;
  /** Whether embeddings have absolute positions as well. */
  readonly hasAbsolutePositions: boolean;
  readonly convolution?: { readonly width: number; readonly activation: string };
  readonly poolerActivation: string;
}

const flag = z.boolean();
const activation = z.enum(Object.keys(activations));
const kind = z.enum(["c2p", "p2c"]);
const schema = z.object({
  relative_attention: flag.default(false),
  max_relative_positions: z.int().max(1_000_000).default(-1),
  position_buckets: z.int().max(1_000_000).default(-1),
  norm_rel_ebd: z.string().default("none"),
  share_att_key: flag.default(false),
  position_biased_input: flag.default(true),
  pos_att_type: z
    .union([
      z.string().transform((text) =>
        text
          .toLowerCase()
          .split("|")
          .map((part) => part.trim()),
      ),
      z.array(z.string()),
    ])
    .nullish()
    .transform((kinds) => (kinds ?? []).filter((name) => name !== "" && name !== "none"))
    .pipe(z.array(kind)),
  conv_kernel_size: z.int().nonnegative().max(99).default(0),
  conv_groups: z.literal(1).default(1),
  conv_act: activation.default("tanh"),
  talking_head: z.literal(false).default(false),
  pooler_hidden_act: activation.default("gelu"),
  attention_head_size: z.int().positive().exactOptional(),
});

/** @throws BACKBONE_INVALID naming the key */
export function parseDebertaConfig(json: unknown, where: string): DebertaConfig {
  const base = parseBase(
    {
      defaults: {
        padTokenId: 0,
        typeVocabSize: 0,
        layerNormEpsilon: 1e-7,
        embeddingSize: (given) => given,
      },
    },
    json,
    where,
  );
  const headWidth = base.hiddenSize / base.numHeads;
  const own = parseConfigWith(
    schema
      .refine(({ attention_head_size: size = headWidth }) => size === headWidth, {
        path: ["attention_head_size"],
        message: `expected hidden_size / num_attention_heads, ${headWidth}`,
      })
      .refine(({ conv_kernel_size: size }) => size === 0 || size % 2 === 1, {
        path: ["conv_kernel_size"],
        message: "expected an odd number",
      }),
    json,
    where,
  );
  const most = own.max_relative_positions < 1 ? base.maxPositions : own.max_relative_positions;
  const buckets = Math.max(own.position_buckets, 0);
  return {
    ...base,
    isRelative: own.relative_attention,
    kinds: own.relative_attention ? [...new Set(own.pos_att_type)] : [],
    span: buckets || most,
    buckets,
    maxRelativePositions: most,
    normalisesPositions: own.norm_rel_ebd
      .toLowerCase()
      .split("|")
      .map((part) => part.trim())
      .includes("layer_norm"),
    sharesProjections: own.share_att_key,
    hasAbsolutePositions: own.position_biased_input,
    ...(own.conv_kernel_size > 0 && {
      convolution: { width: own.conv_kernel_size, activation: own.conv_act },
    }),
    poolerActivation: own.pooler_hidden_act,
  };
}

/**
 * Row of a relative position (`make_log_bucket_position` in transformers): up to half the buckets one each, beyond by
 * their logarithm.
 */
export function rowOf({ buckets, span, maxRelativePositions }: DebertaConfig): (relative: number) => number {
  const middle = Math.floor(buckets / 2);
  const bucketOf = (relative: number): number => {
    const distance = Math.abs(relative);
    if (buckets === 0 || distance <= middle) return relative;
    const grown = Math.log(distance / middle) / Math.log((maxRelativePositions - 1) / middle);
    return Math.sign(relative) * (Math.ceil(grown * (middle - 1)) + middle);
  };
  return (relative) => Math.min(Math.max(bucketOf(relative) + span, 0), 2 * span - 1);
}
