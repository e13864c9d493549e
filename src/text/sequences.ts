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
}

/** Number of tokens of example `index`. */
export function tokenCount(sequences: TokenSequences, index: number): number {
  return sequences.starts[index + 1]! - sequences.starts[index]!;
}

/** Tokens of the longest example. */
export function longestSequence(sequences: TokenSequences): number {
  let longest = 0;
  for (let i = 0; i < sequences.count; i++) longest = Math.max(longest, tokenCount(sequences, i));
  return longest;
}

/** Collects {@link TokenSequences} example by example. */
export class SequenceCollector {
  #ids = new Int32Array(1024);
  #typeIds = new Uint8Array(1024);
  #tokens = 0;
  readonly #starts: number[] = [0];
  #truncated = 0;

  add(ids: ArrayLike<number>, typeIds: ArrayLike<number>, truncated: boolean): void {
    const end = this.#tokens + ids.length;
    if (end > this.#ids.length) {
      const capacity = Math.max(end, this.#ids.length * 2);
      const [grownIds, grownTypes] = [new Int32Array(capacity), new Uint8Array(capacity)];
      grownIds.set(this.#ids);
      grownTypes.set(this.#typeIds);
      [this.#ids, this.#typeIds] = [grownIds, grownTypes];
    }
    this.#ids.set(ids, this.#tokens);
    this.#typeIds.set(typeIds, this.#tokens);
    this.#tokens = end;
    this.#starts.push(end);
    if (truncated) this.#truncated++;
  }

  finish(): TokenSequences {
    return {
      count: this.#starts.length - 1,
      ids: this.#ids.slice(0, this.#tokens),
      typeIds: this.#typeIds.slice(0, this.#tokens),
      starts: Int32Array.from(this.#starts),
      truncated: this.#truncated,
    };
  }
}
