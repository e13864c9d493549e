/** Legend: N rows, E hidden size, C labels. The linear layer that every head ends in. */
import type { BackboneConfig } from "../backbones/index.ts";
import type { Params, Rng } from "../core/index.ts";
import type { Value } from "../graph/index.ts";
import { affine, dropout, type LayerContext, steadyAffine } from "../nn/index.ts";
import type { HeadInputs } from "./head.ts";

/** Parameter name of the linear layer's matrix, `[C, E]`. */
export const headWeight = "head.weight";
/** Parameter name of its bias, `[C]`. */
export const headBias = "head.bias";

/** Dropout in front of the linear layer; `"hidden"` takes the backbone's rate. */
export type HeadDropout = number | "hidden";

/** A matrix at N(0, initializer_range) and a zero bias. @param width F, of what it reads */
export function initializeLinear(
  numLabels: number,
  { hiddenSize, initializerRange }: BackboneConfig,
  rng: Rng,
  width: number = hiddenSize,
): Params {
  const stream = rng.split(headWeight);
  const weight = Float32Array.from({ length: numLabels * width }, () => stream.normal() * initializerRange);
  return {
    [headWeight]: { dtype: "float32", shape: [numLabels, width], data: weight },
    [headBias]: { dtype: "float32", shape: [numLabels], data: new Float32Array(numLabels) },
  };
}

/** Dropout and the linear layer: `[N, E]` → `[N, C]`. */
export function linearLogits(
  ctx: LayerContext,
  features: Value,
  { config, params }: HeadInputs,
  rate: HeadDropout,
): Value {
  const kept = dropout(ctx, features, rate === "hidden" ? config.hiddenDropout : rate);
  const product = ctx.batchInvariant ? steadyAffine : affine;
  return product(ctx, kept, params[headWeight]!, params[headBias]!);
}
