/** Legend: F features of a sequence. */
import type { Backbone } from "../backbones/index.ts";
import type { Params, Rng } from "../core/index.ts";
import { featuresGraph, featuresOutput, type ModelParts, type Trunk } from "../model/index.ts";
import { outputs, type PassFeeds } from "../predict/index.ts";
import type { Encoded } from "../tasks/index.ts";
import { itemCount, itemRows } from "../text/portable.ts";
import type { Features } from "./readout.ts";

/** What computes the features of a head. */
export interface FeatureSource {
  readonly parts: ModelParts & { readonly backbone: Backbone };
  /** The tensors that were trained. */
  readonly params: Params;
  readonly maxLength: number;
  /** Lower layers that were computed before, and what they are fed with. */
  readonly lower?: { readonly trunk: Trunk; readonly feeds: PassFeeds } | undefined;
  /** Draws items where there are many. */
  readonly rng: Rng;
}

/** More items than these are drawn from: a linear layer gains little from more. */
const mostItems = 20_000;
/** Numbers that are held at most, so that memory stays flat. */
const mostNumbers = 1 << 25;

/** What the linear layer of a head reads of each sequence, or of as many as are drawn. The head must have a readout. */
export async function headFeatures(
  { parts, params, maxLength, lower, rng }: FeatureSource,
  encoded: Encoded,
): Promise<Features> {
  const { backbone } = parts;
  const graph = featuresGraph(parts, params, lower?.trunk);
  const width = graph.outputs.get(featuresOutput)!.shape[1] as number;
  const most = Math.min(mostItems, Math.floor(mostNumbers / width));
  const all = Int32Array.from({ length: itemCount(encoded) }, (_, item) => item);
  const items = all.length > most ? rng.split("items").shuffle(all).slice(0, most).sort() : all;
  const rows = itemRows(encoded, items);
  const data = new Float32Array(rows.length * width);
  const places = new Map(Array.from(rows, (row, place) => [row, place]));
  await using session = await backbone.engine.compile(graph);
  await session.bind(params);
  const { sequences } = encoded;
  for await (const pass of outputs(
    session,
    featuresOutput,
    sequences,
    backbone,
    maxLength,
    lower?.feeds,
    rows,
  )) {
    for (const [b, row] of pass.rows.entries()) {
      data.set(pass.values.subarray(b * width, (b + 1) * width), places.get(row)! * width);
    }
  }
  return { width, rows, data };
}
