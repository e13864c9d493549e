/** Legend: F features of a sequence. */
import type { Backbone } from "../backbones/index.ts";
import type { Params, Rng } from "../core/index.ts";
import type { Graph } from "../graph/index.ts";
import { bareGraph, featuresGraph, featuresOutput, type ModelParts, type Trunk } from "../model/index.ts";
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

/** Whether so many items are few enough that features of this width are computed of all of them. */
export function holdsAll(items: number, width: number): boolean {
  return items <= Math.min(mostItems, Math.floor(mostNumbers / width));
}

/** What the linear layer of a head reads of each sequence, or of as many as are drawn. The head must have a readout. */
export function headFeatures(source: FeatureSource, encoded: Encoded): Promise<Features> {
  return featuresOf(featuresGraph(source.parts, source.params, source.lower?.trunk), source, encoded);
}

/** What a head reads of each sequence by the untouched backbone; of the same sequences as {@link headFeatures} where these fit. */
export function bareFeatures(
  source: Omit<FeatureSource, "params" | "lower">,
  encoded: Encoded,
): Promise<Features> {
  return featuresOf(bareGraph(source.parts), { ...source, params: {} }, encoded);
}

/**
 * What a head reads that reads both: the first ones brought to length 1, and beside them the second ones as they are.
 * @param bare of the same sequences
 */
export function sideBySide(tuned: Features, bare: Features): Features {
  const width = tuned.width + bare.width;
  const data = new Float32Array(tuned.rows.length * width);
  for (let row = 0; row < tuned.rows.length; row++) {
    const own = tuned.data.subarray(row * tuned.width, (row + 1) * tuned.width);
    const norm = Math.sqrt(own.reduce((sum, x) => sum + x * x, 0));
    data.set(
      own.map((x) => x / norm),
      row * width,
    );
    data.set(bare.data.subarray(row * bare.width, (row + 1) * bare.width), row * width + tuned.width);
  }
  return { width, rows: tuned.rows, data };
}

async function featuresOf(
  graph: Graph,
  { parts, params, maxLength, lower, rng }: FeatureSource,
  encoded: Encoded,
): Promise<Features> {
  const { backbone } = parts;
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
