import { Growing } from "./growing.ts";

/** Token sequences of many examples in three flat arrays: a large data set stays small in memory. */
export interface TokenSequences {
  readonly count: number;
  /** Token ids of all examples, one after another. */
  readonly ids: Int32Array;
  /** Segment (token type) of each token: 0, or 1 in the second text of a pair. */
  readonly typeIds: Uint8Array;
  /** Example `i` has the tokens `starts[i] … starts[i + 1] − 1`. */
  readonly starts: Int32Array;
  /** How many examples were cut to the greatest length. */
  readonly truncated: number;
  /** 1 for each that was cut, else 0. */
  readonly cut: Uint8Array;
  /** Positions that a head reads, where it does not read the first or all. */
  readonly marks?: Marks;
}

/** Marked positions of token sequences. */
export interface Marks {
  /** K: the most that a sequence has. */
  readonly most: number;
  /** K positions of each sequence, one sequence after another; 0 behind the last that it has. */
  readonly positions: Int32Array;
  /** How many each sequence has. */
  readonly counts: Int32Array;
}

/** Number of tokens of example `index`. */
export function tokenCount({ starts }: Pick<TokenSequences, "starts">, index: number): number {
  return starts[index + 1]! - starts[index]!;
}

/** Tokens of the longest example. */
export function longestSequence(sequences: TokenSequences): number {
  let longest = 0;
  for (let i = 0; i < sequences.count; i++) longest = Math.max(longest, tokenCount(sequences, i));
  return longest;
}

/** One of some token sequences. */
export interface SequencePlace {
  readonly sequences: TokenSequences;
  readonly row: number;
}

/** Sequences of several sets as one set, in this order. All have as many marks at most, or none has any. */
export function gatherSequences(places: readonly SequencePlace[]): TokenSequences {
  const counts = places.map(({ sequences, row }) => tokenCount(sequences, row));
  const starts = new Int32Array(places.length + 1);
  for (const [i, count] of counts.entries()) starts[i + 1] = starts[i]! + count;
  const ids = new Int32Array(starts.at(-1)!);
  const typeIds = new Uint8Array(ids.length);
  const cut = Uint8Array.from(places, ({ sequences, row }) => sequences.cut[row]!);
  for (const [i, { sequences, row }] of places.entries()) {
    const [from, to] = [sequences.starts[row]!, sequences.starts[row + 1]!];
    ids.set(sequences.ids.subarray(from, to), starts[i]!);
    typeIds.set(sequences.typeIds.subarray(from, to), starts[i]!);
  }
  const most = places[0]?.sequences.marks?.most;
  const marks = most !== undefined && {
    most,
    positions: Int32Array.from(
      places.flatMap(({ sequences, row }) => [
        ...sequences.marks!.positions.subarray(row * most, (row + 1) * most),
      ]),
    ),
    counts: Int32Array.from(places, ({ sequences, row }) => sequences.marks!.counts[row]!),
  };
  const truncated = cut.reduce((sum, one) => sum + one, 0);
  return { count: places.length, ids, typeIds, starts, cut, truncated, ...(marks && { marks }) };
}

const noMarks: readonly number[] = [];

/** Collects {@link TokenSequences} example by example. */
export class SequenceCollector {
  readonly #progress = (): number => this.#starts.length / this.#expected;
  readonly #ids = new Growing((length) => new Int32Array(length), this.#progress);
  readonly #typeIds = new Growing((length) => new Uint8Array(length), this.#progress);
  readonly #starts: Growing<Int32Array> = new Growing((length) => new Int32Array(length), this.#progress);
  readonly #cut = new Growing((length) => new Uint8Array(length), this.#progress);
  readonly #marks = new Growing((length) => new Int32Array(length));
  readonly #markCounts = new Growing((length) => new Int32Array(length));
  readonly #expected: number;
  #truncated = 0;

  /** @param expected sequences that will be added, about */
  constructor(expected: number = Number.POSITIVE_INFINITY) {
    this.#expected = expected;
  }

  /** @param marks positions that a head reads; every sequence has some, or none has */
  add(
    ids: ArrayLike<number>,
    typeIds: ArrayLike<number>,
    truncated: boolean,
    marks: readonly number[] = noMarks,
  ): void {
    if (marks.length > 0) this.#mark(marks);
    this.#starts.push(this.#ids.length);
    this.#ids.append(ids);
    this.#typeIds.append(typeIds);
    this.#cut.push(Number(truncated));
    if (truncated) this.#truncated++;
  }

  finish(): TokenSequences {
    const count = this.#starts.length;
    this.#starts.push(this.#ids.length);
    return {
      count,
      ids: this.#ids.finish(),
      typeIds: this.#typeIds.finish(),
      starts: this.#starts.finish(),
      truncated: this.#truncated,
      cut: this.#cut.finish(),
      ...this.#finishMarks(),
    };
  }

  #mark(marks: readonly number[]): void {
    // Those before it have none.
    while (this.#markCounts.length < this.#starts.length) this.#markCounts.push(0);
    this.#marks.append(marks);
    this.#markCounts.push(marks.length);
  }

  #finishMarks(): Pick<TokenSequences, "marks"> {
    if (this.#markCounts.length === 0) return {};
    while (this.#markCounts.length < this.#cut.length) this.#markCounts.push(0);
    const [counts, marks] = [this.#markCounts.finish(), this.#marks.finish()];
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    const positions = new Int32Array(counts.length * most);
    let at = 0;
    for (const [i, count] of counts.entries()) {
      positions.set(marks.subarray(at, at + count), i * most);
      at += count;
    }
    return { marks: { most, positions, counts } };
  }
}
