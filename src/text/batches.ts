import { lazyArray, type Rng, type Tensor } from "../core/index.ts";
import { type Marks, type TokenSequences, tokenCount } from "./sequences.ts";

/** Training items: some sequences each, that must be in one batch. */
export interface BatchItems {
  readonly sequences: TokenSequences;
  /** Item `i` is the sequences `itemStarts[i] … itemStarts[i + 1] − 1`; left out, each sequence is an item. */
  readonly itemStarts?: Int32Array;
}

/** Number of training items. */
export function itemCount({ sequences, itemStarts }: BatchItems): number {
  return itemStarts === undefined ? sequences.count : itemStarts.length - 1;
}

/** The sequences of some items, in their order. */
export function itemRows({ itemStarts }: BatchItems, items: Int32Array): Int32Array {
  if (itemStarts === undefined) return items;
  const rows: number[] = [];
  for (const item of items)
    for (let row = itemStarts[item]!; row < itemStarts[item + 1]!; row++) rows.push(row);
  return Int32Array.from(rows);
}

/** The greatest number of sequences that an item has. */
export function largestItem({ itemStarts }: BatchItems): number {
  if (itemStarts === undefined) return 1;
  return itemStarts.reduce(
    (most, start, i) => (i === 0 ? most : Math.max(most, start - itemStarts[i - 1]!)),
    1,
  );
}

/** Tokens of an item's longest sequence. */
export function itemTokens(items: BatchItems, item: number): number {
  let longest = 0;
  for (const row of itemRows(items, Int32Array.of(item))) {
    longest = Math.max(longest, tokenCount(items.sequences, row));
  }
  return longest;
}

/**
 * The batches of one epoch: every item once, at random. Batches of like length would pad less, but learn worse
 * (docs/speed.md).
 */
export function shuffledBatches(items: BatchItems, batchSize: number, rng: Rng): readonly Int32Array[] {
  const order = rng.shuffle(Int32Array.from({ length: itemCount(items) }, (_, item) => item));
  return lazyArray(Math.ceil(order.length / batchSize), (batch) =>
    order.slice(batch * batchSize, (batch + 1) * batchSize),
  );
}

/** Rows of one forward pass, and tokens including padding: larger ones leave the cache and are slower per token. */
const forwardRows = 64;
const forwardTokens = 1024;

/** Lengths of forward passes are multiples of this at least, and of an eighth of the power of two below them. */
const leastStep = 4;

/**
 * The length that a sequence is padded to in evaluation and prediction. Sums over positions come out differently, in
 * the last bit, with another number of them; so the length depends on the sequence alone, and its answer is the same in
 * any company.
 *
 * @param tokens its own
 * @param limit the greatest length that the model takes
 */
export function paddedLength(tokens: number, limit: number): number {
  const step = Math.max(leastStep, 2 ** Math.floor(Math.log2(Math.max(1, tokens))) / 8);
  return Math.max(tokens, Math.min(limit, Math.ceil(tokens / step) * step));
}

/** How many sequences of a padded length a forward pass takes at most. */
export function forwardBatchSize(length: number): number {
  return Math.max(1, Math.min(forwardRows, Math.floor(forwardTokens / length)));
}

/** The sequences of one forward pass, and the length that all are padded to. */
export interface ForwardBatch {
  readonly rows: Int32Array;
  readonly length: number;
}

/**
 * Sequences in batches of one padded length each, shortest first: for evaluation and prediction.
 * @param limit the greatest length that the model takes
 * @param wanted numbers of the sequences; left out, all
 */
export function forwardBatches(
  sequences: TokenSequences,
  limit: number,
  wanted: Int32Array = Int32Array.from({ length: sequences.count }, (_, row) => row),
): ForwardBatch[] {
  const lengthOf = (row: number): number => paddedLength(tokenCount(sequences, row), limit);
  const order = wanted.toSorted((a, b) => tokenCount(sequences, a) - tokenCount(sequences, b));
  const batches: ForwardBatch[] = [];
  for (let start = 0; start < order.length; ) {
    const length = lengthOf(order[start]!);
    const most = forwardBatchSize(length);
    let end = start + 1;
    while (end < order.length && end - start < most && lengthOf(order[end]!) === length) end++;
    batches.push({ rows: order.slice(start, end), length });
    start = end;
  }
  return batches;
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
  /** Where the sequences have marks. */
  readonly marks?: {
    /** `[K, B]`: rows `s·B + b` of the marked positions; `b` behind the last of a row's own. */
    readonly rows: Tensor<"int32">;
    /** `[B]`: how many each row has. */
    readonly counts: Tensor<"int32">;
  };
}

/**
 * Pads the given rows to one length.
 * @param length that of the longest row at least; left out, it is that
 */
export function padBatch(
  sequences: TokenSequences,
  rows: ArrayLike<number>,
  padTokenId: number,
  length = 0,
): TokenBatch {
  const batch = rows.length;
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
  const { marks } = sequences;
  return {
    ...{ batch, length, tokens, inputIds, tokenTypeIds, attentionMask },
    ...(marks && { marks: batchMarks(marks, rows) }),
  };
}

function batchMarks(
  { most, positions, counts }: Marks,
  rows: ArrayLike<number>,
): NonNullable<TokenBatch["marks"]> {
  const batch = rows.length;
  const places = new Int32Array(most * batch);
  for (let b = 0; b < batch; b++) {
    for (let k = 0; k < most; k++) places[k * batch + b] = positions[rows[b]! * most + k]! * batch + b;
  }
  return {
    rows: { dtype: "int32", shape: [most, batch], data: places },
    counts: { dtype: "int32", shape: [batch], data: Int32Array.from(rows, (row) => counts[row]!) },
  };
}
