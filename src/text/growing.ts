/** Above this a guess at the whole length is better than twice what there is: a copy of millions takes memory, too. */
const guessedFrom = 2 ** 16;
/** Room beside a guess. */
const guessedRoom = 1.05;
/** Up to this share may stay free behind the values: what was never written takes no memory. */
const freeShare = 1 / 8;

/** A typed array that grows as values come: flat storage of sequences whose total length is not known before. */
export class Growing<A extends Int32Array | Uint8Array> {
  #values: A;
  #length = 0;
  readonly #make: (length: number) => A;

  readonly #progress: () => number;

  /** @param progress share of the whole that has been added; 0 where it is not known */
  constructor(make: (length: number) => A, progress: () => number = () => 0) {
    this.#make = make;
    this.#progress = progress;
    this.#values = make(1024);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    this.#reserve(1);
    this.#values[this.#length++] = value;
  }

  append(values: ArrayLike<number>): void {
    this.#reserve(values.length);
    this.#values.set(values, this.#length);
    this.#length += values.length;
  }

  /** What was added, in an array of exactly that length. */
  finish(): A {
    const isTight = this.#length >= this.#values.length * (1 - freeShare);
    return (isTight ? this.#values.subarray(0, this.#length) : this.#values.slice(0, this.#length)) as A;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#values.length) return;
    const grown = this.#make(Math.max(needed, this.#guess() ?? 2 * this.#values.length));
    grown.set(this.#values);
    this.#values = grown;
  }

  /** Length of the whole, if it goes on as it began. */
  #guess(): number | undefined {
    const progress = this.#progress();
    if (this.#length < guessedFrom || progress <= 0 || progress >= 1) return undefined;
    return Math.max(Math.ceil((this.#length / progress) * guessedRoom), this.#length + guessedFrom);
  }
}
