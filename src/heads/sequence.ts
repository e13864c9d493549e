/** Legend: B batch, S sequence, L layers, E hidden size, F features, C labels. */

import type { BackboneConfig } from "../backbones/index.ts";
import { type Dim, divideDims, PtuningError } from "../core/index.ts";
import { failGraph, type Value } from "../graph/index.ts";
import type { LayerContext } from "../nn/index.ts";
import type { Head, HeadInputs } from "./head.ts";
import { type HeadDropout, initializeLinear, linearLogits } from "./linear.ts";

/**
 * How a text becomes one vector: `cls` takes the first position, `pooler` sends it through the checkpoint's own
 * frozen pooler (a random one where it has none, as with RoBERTa), `mean` averages the real tokens, `layers` puts the means
 * behind the embeddings and behind every layer side by side, each brought to length 1. Prompt columns are never pooled.
 */
export type Pooling = "pooler" | "cls" | "mean" | "layers";

/** Settings of a sequence head. */
export interface SequenceHeadOptions {
  /** `thudm` and `peft` pool through the pooler and drop features at the backbone's rate. */
  readonly preset?: "thudm" | "peft";
  readonly pooling?: Pooling;
  /** Dropout on the pooled vector. */
  readonly headDropout?: HeadDropout;
  /**
   * Reads the same vector of the untouched backbone beside that of the tuned one, each brought to length 1. Heads come to it by
   * being fitted; default false.
   */
  readonly blend?: boolean;
}

type Resolved = Required<Omit<SequenceHeadOptions, "preset" | "blend">>;

const defaults: Resolved = { pooling: "mean", headDropout: 0 };
const reference: Resolved = { pooling: "pooler", headDropout: "hidden" };

/** Pooling, dropout and a linear layer that starts at N(0, initializer_range) with a zero bias. */
export function sequenceHead(numLabels: number, options: SequenceHeadOptions = {}): Head {
  const { preset, blend = false, ...given } = options;
  const known = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const resolved: Resolved = { ...(preset ? reference : defaults), ...known };
  const pool = poolings[resolved.pooling];
  if (pool === undefined) {
    const names = Object.keys(poolings).join(", ");
    throw new PtuningError("OPTION_INVALID", `pooling: expected one of ${names}, got "${resolved.pooling}".`);
  }
  const pooled = (ctx: LayerContext, head: HeadInputs): Value => pool.build(ctx, head);
  const features = blend
    ? (ctx: LayerContext, head: HeadInputs): Value =>
        ctx.b.op("Concat", [unitLength(ctx, pooled(ctx, head)), head.bare!], { axis: 1 })
    : pooled;
  const width = (config: BackboneConfig): number => pool.width?.(config) ?? config.hiddenSize;
  return {
    name: "sequence",
    options: { ...resolved, ...(blend && { blend }) },
    rows: pool.rows,
    ...(pool.backboneWeights && { backboneWeights: pool.backboneWeights }),
    ...(pool.everyLayer && { everyLayer: true }),
    ...(blend && {
      bare: {
        name: resolved.pooling,
        width,
        features: (ctx, head) => ctx.b.scope("bare", () => unitLength(ctx, pooled(ctx, head))),
      },
    }),
    linear: {
      name: blend ? `${resolved.pooling} beside the untouched` : resolved.pooling,
      vectors: (ctx, head) => ctx.b.scope("head", () => features(ctx, head)),
    },
    readout: {
      features: (ctx, head) => ctx.b.scope("head", () => features(ctx, head)),
      isRefitted: preset === undefined,
    },
    initialize: (config, rng) => initializeLinear(numLabels, config, rng, (blend ? 2 : 1) * width(config)),
    build: (ctx, head) =>
      ctx.b.scope("head", () => linearLogits(ctx, features(ctx, head), head, resolved.headDropout)),
  };
}

interface PoolingRule extends Pick<Head, "rows" | "everyLayer" | "backboneWeights"> {
  /** F; left out, E. */
  width?(config: BackboneConfig): number;
  /** @returns `[B, F]` */
  build(ctx: LayerContext, head: HeadInputs): Value;
}

const poolings: { readonly [P in Pooling]: PoolingRule } = {
  cls: { rows: "first", build: (_, { hidden }) => hidden },
  pooler: {
    rows: "first",
    backboneWeights: (architecture, config) => architecture.poolerWeights(config),
    build: (ctx, { architecture, config, hidden }) => architecture.pool(ctx, config, hidden),
  },
  mean: {
    rows: "all",
    build: (ctx, { hidden, inputs }) => meanOverTokens(ctx, hidden, inputs.attentionMask),
  },
  layers: {
    rows: "all",
    everyLayer: true,
    width: ({ numLayers, hiddenSize }) => (numLayers + 1) * hiddenSize,
    build(ctx, { layers, inputs }) {
      const means = layers!.map((states) =>
        unitLength(ctx, meanOverTokens(ctx, states, inputs.attentionMask)),
      );
      return ctx.b.op("Concat", means, { axis: 1 });
    },
  },
};

/** Every way of pooling. */
export const poolingNames: readonly Pooling[] = Object.keys(poolings) as Pooling[];

/** Rows brought to length 1: `[B, F]` → `[B, F]`. */
function unitLength({ b }: LayerContext, rows: Value): Value {
  return b.op("Div", [rows, b.op("Sqrt", [b.sum(b.op("Mul", [rows, rows]), [1], 1)])]);
}

/** Σ mask·hidden / Σ mask: `[S·B, E]` → `[B, E]`. */
export function meanOverTokens({ b }: LayerContext, hidden: Value, mask: Value): Value {
  const [length, batch] = mask.shape as [Dim, Dim];
  if (divideDims(hidden.shape[0]!, batch) !== length) failGraph(hidden.name, "expected all positions.");
  const kept = b.reshape(b.op("Cast", [mask], { to: "float32" }), [length, batch, 1]);
  const states = b.reshape(hidden, [length, batch, hidden.shape[1]!]);
  return b.op("Div", [b.sum(b.op("Mul", [states, kept]), [0], 0), b.sum(kept, [0], 0)]);
}
