/** Legend: E hidden size. */
import type { Backbone } from "../backbones/index.ts";
import { allocate, byteSize, type DType, Resources, type TensorMap, type TypedArray } from "../core/index.ts";
import {
  batchFeeds,
  type ModelParts,
  type ParamShapes,
  type Trunk,
  trunkGraph,
  trunkLayers,
  trunkStates,
} from "../model/index.ts";
import type { Encoded, PassShape } from "../tasks/index.ts";
import { forwardBatches, padBatch, type TokenSequences, tokenCount } from "../text/portable.ts";
import type { TrunkEvent } from "./events.ts";
import type { ResolvedSettings } from "./options.ts";

/** `auto` keeps up to this many bytes in memory, and more in a file. */
const memoryBound = 1e9;

/** What the lower layers compute of every sequence, once and for all. */
export interface TrunkCache extends AsyncDisposable {
  readonly trunk: Trunk;
  readonly event: TrunkEvent;
  /** States of a pass, for graphs on this trunk. */
  feeds(encoded: Encoded, pass: PassShape): TensorMap;
}

/**
 * Runs the layers beneath the lowest prompt over all sequences and keeps their output. `undefined` where that is
 * not asked for; a cache of no layers where training reaches the lowest one.
 *
 * @throws OPTION_INVALID if the disk is too small
 */
export async function createTrunkCache(
  parts: ModelParts & { readonly backbone: Backbone },
  params: ParamShapes,
  sets: readonly Encoded[],
  settings: ResolvedSettings,
): Promise<TrunkCache | undefined> {
  if (settings.trunkCache === "off") return undefined;
  const { backbone } = parts;
  const { hiddenSize, numLayers, padTokenId, ...config } = backbone.config;
  const started = performance.now();
  const layers = trunkLayers(parts, params);
  const dtype = settings.trunkCacheType;
  const tokens = sets.reduce((sum, { sequences }) => sum + sequences.starts[sequences.count]!, 0);
  const bytes = layers === 0 ? 0 : tokens * hiddenSize * byteSize(dtype);
  const place =
    settings.trunkCache === "auto" ? (bytes <= memoryBound ? "memory" : "file") : settings.trunkCache;
  const rate = (given: number | "checkpoint", own: number): number => (given === "checkpoint" ? own : given);
  const event = (): TrunkEvent => ({
    type: "trunk",
    layers,
    numLayers,
    place,
    bytes,
    dtype,
    droppedOut: {
      hidden: rate(settings.hiddenDropout, config.hiddenDropout),
      attention: rate(settings.attentionDropout, config.attentionDropout),
    },
    seconds: (performance.now() - started) / 1000,
  });
  if (layers === 0) {
    return { trunk: { layers, dtype }, event: event(), feeds: () => ({}), async [Symbol.asyncDispose]() {} };
  }
  await using opened = new Resources();
  const store = place === "memory" ? memoryStore(dtype, bytes) : await inFile(dtype, bytes);
  opened.defer(() => store.close());
  const trunk: Trunk = { layers, dtype };
  const firstToken = new Map<TokenSequences, number>();
  {
    await using session = await backbone.engine.compile(trunkGraph(parts, trunk), { prepack: true });
    let first = 0;
    for (const { sequences } of sets) {
      firstToken.set(sequences, first);
      for (const { rows, length } of forwardBatches(sequences, settings.maxLength)) {
        const batch = padBatch(sequences, rows, padTokenId, length);
        const { [trunkStates]: states } = await session.run(batchFeeds(batch));
        for (const [b, row] of rows.entries()) {
          const count = tokenCount(sequences, row);
          const own = allocate(dtype, count * hiddenSize);
          for (let s = 0; s < count; s++) copyRow(own, s, states!.data, s * rows.length + b, hiddenSize);
          store.write((first + sequences.starts[row]!) * hiddenSize, own);
        }
      }
      first += sequences.starts[sequences.count]!;
    }
  }
  const owned = opened.move();
  return {
    trunk,
    event: event(),
    feeds({ sequences }, { rows, length }) {
      const data = allocate(dtype, length * rows.length * hiddenSize);
      const start = firstToken.get(sequences)!;
      for (const [b, row] of rows.entries()) {
        const count = tokenCount(sequences, row);
        const own = store.read((start + sequences.starts[row]!) * hiddenSize, count * hiddenSize);
        for (let s = 0; s < count; s++) copyRow(data, s * rows.length + b, own, s, hiddenSize);
      }
      return { [trunkStates]: { dtype, shape: [length * rows.length, hiddenSize], data } };
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

function copyRow(to: TypedArray, toRow: number, from: TypedArray, fromRow: number, width: number): void {
  const row = from.subarray(fromRow * width, (fromRow + 1) * width);
  (to as Float32Array).set(row as Float32Array, toRow * width);
}

/** Elements by their place. */
export interface TrunkStore {
  write(start: number, elements: TypedArray): void;
  read(start: number, count: number): TypedArray;
  close(): void;
}

async function inFile(dtype: DType, bytes: number): Promise<TrunkStore> {
  // An entry of package.json: what this is depends on where it runs.
  const { fileStore } = await import("#trunk-file");
  return fileStore(dtype, bytes);
}

function memoryStore(dtype: DType, bytes: number): TrunkStore {
  let all = allocate(dtype, bytes / byteSize(dtype));
  return {
    write: (start, elements) => (all as Float32Array).set(elements as Float32Array, start),
    read: (start, count) => all.subarray(start, start + count),
    close() {
      all = allocate(dtype, 0);
    },
  };
}
