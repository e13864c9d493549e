/** How many sequences have each number of tokens: as much memory for millions as for a few. */
export class LengthCounts {
  #counts = new Float64Array(64);
  #total = 0;
  #max = 0;

  /** Number of sequences. */
  get total(): number {
    return this.#total;
  }

  /** Tokens of the longest; 0 without any. */
  get max(): number {
    return this.#max;
  }

  add(tokens: number, sequences = 1): void {
    if (tokens >= this.#counts.length) {
      const grown = new Float64Array(2 * tokens);
      grown.set(this.#counts);
      this.#counts = grown;
    }
    this.#counts[tokens]! += sequences;
    this.#total += sequences;
    this.#max = Math.max(this.#max, tokens);
  }

  /** The lengths that occur, ascending, with how many sequences have each. */
  *entries(): Generator<[tokens: number, sequences: number]> {
    for (let tokens = 0; tokens <= this.#max; tokens++) {
      const sequences = this.#counts[tokens]!;
      if (sequences > 0) yield [tokens, sequences];
    }
  }

  /** The smallest length that the given share of the sequences does not exceed. */
  quantile(share: number): number {
    const wanted = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (const [tokens, sequences] of this.entries()) {
      seen += sequences;
      if (seen >= wanted) return tokens;
    }
    return 0;
  }

  /** Sequences of more tokens. */
  longerThan(tokens: number): number {
    let count = 0;
    for (const [own, sequences] of this.entries()) if (own > tokens) count += sequences;
    return count;
  }
}
