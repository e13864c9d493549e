import type { Rng, Tensor } from "../core/index.ts";
import { type TokenSequences, tokenCount } from "./sequences.ts";

/** Batches whose lengths are sorted together: the span within which examples change places for that. */
const batchesPerBucket = 50;

/**
 * The order of one epoch: every row once, at random; within spans of some batches rows are sorted by length,
 * so that a batch holds texts of like length and little padding.
 */
export function bucketedBatches(sequences: TokenSequences, batchSize: number, rng: Rng): Int32Array[] {
  const order = rng.shuffle(Int32Array.from({ length: sequences.count }, (_, row) => row));
  const span = batchSize * batchesPerBucket;
  const batches: Int32Array[] = [];
  for (let start = 0; start < order.length; start += span) {
    batches.push(...chunk(byLength(order.slice(start, start + span), sequences), batchSize));
  }
  return rng.shuffle(batches);
}

/** Rows of one forward pass, and tokens including padding: beyond this a batch gains no speed. */
const forwardRows = 64;
const forwardTokens = 4096;

/** All rows in batches of like length, shortest first: for evaluation and prediction. */
export function forwardBatches(sequences: TokenSequences): Int32Array[] {
  const order = byLength(
    Int32Array.from({ length: sequences.count }, (_, row) => row),
    sequences,
  );
  const batches: Int32Array[] = [];
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (
      end < order.length &&
      end - start < forwardRows &&
      (end - start + 1) * tokenCount(sequences, order[end]!) <= forwardTokens
    ) {
      end++;
    }
    batches.push(order.slice(start, end));
    start = end;
  }
  return batches;
}

function byLength(rows: Int32Array, sequences: TokenSequences): Int32Array {
  return rows.sort((a, b) => tokenCount(sequences, a) - tokenCount(sequences, b));
}

function chunk(rows: Int32Array, size: number): Int32Array[] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) =>
    rows.slice(i * size, (i + 1) * size),
  );
}

/** The token tensors of a batch, padded to its longest row, positions outside: `[S, B]`. */
export interface TokenBatch {
  readonly batch: number;
  readonly length: number;
  /** Real tokens, padding not counted. */
  readonly tokens: number;
  readonly inputIds: Tensor<"int32">;
  readonly tokenTypeIds: Tensor<"int32">;
  /** 1 for a token, 0 for padding. */
  readonly attentionMask: Tensor<"int32">;
}

/** Pads the given rows to one length. */
export function padBatch(sequences: TokenSequences, rows: ArrayLike<number>, padTokenId: number): TokenBatch {
  const batch = rows.length;
  let length = 0;
  for (let b = 0; b < batch; b++) length = Math.max(length, tokenCount(sequences, rows[b]!));
  const shape = [length, batch];
  const make = (): Tensor<"int32"> => ({ dtype: "int32", shape, data: new Int32Array(length * batch) });
  const [inputIds, tokenTypeIds, attentionMask] = [make(), make(), make()];
  inputIds.data.fill(padTokenId);
  let tokens = 0;
  for (let b = 0; b < batch; b++) {
    const start = sequences.starts[rows[b]!]!;
    const count = tokenCount(sequences, rows[b]!);
    tokens += count;
    for (let s = 0; s < count; s++) {
      inputIds.data[s * batch + b] = sequences.ids[start + s]!;
      tokenTypeIds.data[s * batch + b] = sequences.typeIds[start + s]!;
      attentionMask.data[s * batch + b] = 1;
    }
  }
  return { batch, length, tokens, inputIds, tokenTypeIds, attentionMask };
}
