/**
 * Sequences of many adapters in batches, and what comes out for each.
 *
 * Legend: B sequences of a batch, S their padded length, R rows of the matrices of its heads, C outputs of one head.
 */
import type { BackboneConfig } from "../../backbones/portable.ts";
import { int32s, type TensorMap } from "../../core/index.ts";
import { bareInput, batchFeeds, featuresOutput, logitsOutput, tableInputs } from "../../model/index.ts";
import type { Encoded } from "../../tasks/index.ts";
import {
  forwardBatchSize,
  gatherSequences,
  padBatch,
  paddedLength,
  type TokenBatch,
  tokenCount,
} from "../../text/portable.ts";
import type { PlacedHead, ServedTask } from "./served.ts";

/** Sequences of one task that want answers. */
export interface Wanted {
  readonly served: ServedTask;
  readonly encoded: Encoded;
}

/** The logits of some sequences of one task, as its head lays them out. */
export interface TaskOutput<W> {
  readonly of: W;
  /** Numbers of the sequences in its encoded examples. */
  readonly rows: Int32Array;
  readonly length: number;
  readonly logits: Float32Array;
}

/** One pass through the backbone, whoever reads it. */
interface Row<W> {
  readonly first: W;
  readonly sequence: number;
  readonly readers: { readonly of: W; readonly sequence: number }[];
}

/** Logits of a batch at most; more heads than that are in another one. */
const mostLogits = 2 ** 22;

/**
 * Runs all sequences: those of equal lanes and padded lengths together, whosoever they are, and equal ones with equal prompts
 * once. A length is decided by a sequence and its adapter alone, so nothing that comes out depends on the company.
 */
export async function* taskOutputs<W extends Wanted>(
  wanted: readonly W[],
  config: Pick<BackboneConfig, "padTokenId">,
  signal?: AbortSignal,
): AsyncGenerator<TaskOutput<W>> {
  const bare = new BareFeatures(config.padTokenId);
  for (const { length, rows } of grouped(wanted)) {
    for (const batch of batchesOf(rows, length)) {
      signal?.throwIfAborted();
      const beside = await bare.feeds(batch, length);
      signal?.throwIfAborted();
      yield* outputsOf(batch, length, beside, config);
    }
  }
}

/** What heads read of the untouched backbone: one pass for a text, however many adapters ask about it. */
class BareFeatures {
  readonly #padTokenId: number;
  readonly #known = new Map<string, Float32Array>();

  constructor(padTokenId: number) {
    this.#padTokenId = padTokenId;
  }

  /** @returns the feed of a batch; none where its heads read nothing of the kind */
  async feeds<W extends Wanted>(rows: readonly Row<W>[], length: number): Promise<TensorMap> {
    const { bare } = rows[0]!.first.served;
    if (bare === undefined) return {};
    const keys = rows.map(
      ({ first, sequence }) => `${length} ${bare.lane} ${textOf(first.encoded, sequence)}`,
    );
    const missing = [...new Map(keys.map((key, i) => [key, rows[i]!]))].filter(
      ([key]) => !this.#known.has(key),
    );
    if (missing.length > 0) {
      const own = missing.map(([, row]) => row);
      const { [featuresOutput]: found } = await bare.session.run(
        batchFeeds(batchOf(own, length, this.#padTokenId)),
      );
      const width = found!.shape[1]!;
      for (const [i, [key]] of missing.entries())
        this.#known.set(key, (found!.data as Float32Array).slice(i * width, (i + 1) * width));
    }
    const width = this.#known.get(keys[0]!)!.length;
    const data = new Float32Array(keys.length * width);
    for (const [i, key] of keys.entries()) data.set(this.#known.get(key)!, i * width);
    return { [bareInput]: { dtype: "float32", shape: [keys.length, width], data } };
  }
}

function batchOf<W extends Wanted>(rows: readonly Row<W>[], length: number, padTokenId: number): TokenBatch {
  const sequences = gatherSequences(
    rows.map(({ first, sequence }) => ({ sequences: first.encoded.sequences, row: sequence })),
  );
  return padBatch(sequences, Array.from(rows.keys()), padTokenId, length);
}

/** Sequences that may share batches, shortest first. */
function grouped<W extends Wanted>(wanted: readonly W[]): { length: number; rows: Row<W>[] }[] {
  const groups = new Map<string, { length: number; rows: Map<string, Row<W>> }>();
  for (const of of wanted) {
    const { served, encoded } = of;
    const { sequences } = encoded;
    for (let sequence = 0; sequence < sequences.count; sequence++) {
      const length = paddedLength(tokenCount(sequences, sequence), served.pooled.maxLength);
      const key = `${length} ${served.lane}`;
      const group = groups.get(key) ?? { length, rows: new Map() };
      groups.set(key, group);
      const content = contentOf(of, sequence);
      const row = group.rows.get(content);
      if (row) row.readers.push({ of, sequence });
      else group.rows.set(content, { first: of, sequence, readers: [{ of, sequence }] });
    }
  }
  return [...groups.values()]
    .sort((a, b) => a.length - b.length)
    .map(({ length, rows }) => ({ length, rows: [...rows.values()] }));
}

/** All that a pass through the backbone depends on. */
const contentOf = ({ served, encoded }: Wanted, sequence: number): string =>
  `${served.starts}|${textOf(encoded, sequence)}`;

function textOf({ sequences }: Encoded, sequence: number): string {
  const [from, to] = [sequences.starts[sequence]!, sequences.starts[sequence + 1]!];
  const { marks } = sequences;
  const marked = marks?.positions.subarray(sequence * marks.most, (sequence + 1) * marks.most) ?? "";
  const tokens = sequences.ids.subarray(from, to);
  return `${tokens}|${sequences.typeIds.subarray(from, to)}|${marked}`;
}

/** Rows of one group in batches. */
function* batchesOf<W extends Wanted>(rows: readonly Row<W>[], length: number): Generator<Row<W>[]> {
  const most = forwardBatchSize(length);
  let batch: Row<W>[] = [];
  let heads = new Set<PlacedHead | undefined>();
  for (const row of rows) {
    const own = row.readers.map(({ of }) => of.served.head);
    const outputs = [...new Set([...heads, ...own])].reduce((sum, head) => sum + (head?.outputs ?? 0), 0);
    const isFull = batch.length === most || (batch.length + 1) * length * outputs > mostLogits;
    if (batch.length > 0 && isFull) {
      yield batch;
      [batch, heads] = [[], new Set()];
    }
    batch.push(row);
    for (const head of own) heads.add(head);
  }
  if (batch.length > 0) yield batch;
}

async function* outputsOf<W extends Wanted>(
  rows: readonly Row<W>[],
  length: number,
  beside: TensorMap,
  { padTokenId }: Pick<BackboneConfig, "padTokenId">,
): AsyncGenerator<TaskOutput<W>> {
  const batch = batchOf(rows, length, padTokenId);
  const { session } = rows[0]!.first.served;
  const { columns, feeds } = headFeeds(rows);
  const { [logitsOutput]: found } = await session.run({
    ...batchFeeds(batch),
    ...beside,
    ...startFeeds(rows),
    ...feeds,
  });
  const logits = found!.data as Float32Array;
  const readers = new Map<W, { row: number; sequence: number }[]>();
  for (const [row, one] of rows.entries()) {
    for (const { of, sequence } of one.readers) {
      const own = readers.get(of) ?? [];
      own.push({ row, sequence });
      readers.set(of, own);
    }
  }
  const width = found!.shape[1]!;
  for (const [of, own] of readers) {
    const { head } = of.served;
    const stretch = head
      ? { first: columns.get(placeOf(head))!, count: head.outputs }
      : { first: 0, count: width };
    yield {
      of,
      rows: Int32Array.from(own, ({ sequence }) => sequence),
      length,
      logits: picked(logits, width, rows.length, own, stretch),
    };
  }
}

/** Where the parameters of each example begin, `[T, B]`, or of the one adapter, `[T]`. */
function startFeeds<W extends Wanted>(rows: readonly Row<W>[]): TensorMap {
  const { starts, head } = rows[0]!.first.served;
  if (starts.length === 0) return {};
  if (head === undefined) return { [tableInputs.starts]: int32s([starts.length], starts) };
  const all = starts.flatMap((_, t) => rows.map(({ first }) => first.served.starts[t]!));
  return { [tableInputs.starts]: int32s([starts.length, rows.length], all) };
}

const placeOf = ({ weight, bias }: PlacedHead): string => `${weight} ${bias}`;

/** The heads of a batch, one below the other, and where each begins. */
function headFeeds<W extends Wanted>(
  rows: readonly Row<W>[],
): { columns: Map<string, number>; feeds: TensorMap } {
  const columns = new Map<string, number>();
  const [matrices, biases, places]: [number[], number[], number[]] = [[], [], []];
  let rowsEach = 0;
  for (const { readers } of rows) {
    for (const { of } of readers) {
      const { head } = of.served;
      if (head === undefined) return { columns, feeds: {} };
      if (columns.has(placeOf(head))) continue;
      columns.set(placeOf(head), places.length);
      ({ rowsEach } = head);
      for (let c = 0; c < head.outputs; c++) {
        for (let u = 0; u < rowsEach; u++) matrices.push(head.weight + c * rowsEach + u);
        places.push(biases.length * head.rowWidth + c);
      }
      for (let q = 0; q < head.biasRows; q++) biases.push(head.bias + q);
    }
  }
  return {
    columns,
    feeds: {
      [tableInputs.headRows]: int32s([places.length, rowsEach], matrices),
      [tableInputs.biasRows]: int32s([biases.length], biases),
      [tableInputs.biasPlaces]: int32s([places.length], places),
    },
  };
}

/** Some columns of some examples: `[K·B, R]` → `[K·b, C]`, K rows for each, positions outside. */
function picked(
  logits: Float32Array,
  width: number,
  batch: number,
  own: readonly { readonly row: number }[],
  { first, count }: { readonly first: number; readonly count: number },
): Float32Array {
  const positions = logits.length / width / batch;
  const found = new Float32Array(positions * own.length * count);
  let at = 0;
  for (let s = 0; s < positions; s++) {
    for (const { row } of own) {
      const from = (s * batch + row) * width + first;
      found.set(logits.subarray(from, from + count), at);
      at += count;
    }
  }
  return found;
}
