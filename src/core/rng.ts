import { PtuningError } from "./errors.ts";

type Key = readonly [number, number, number, number];

/** Arbitrary non-zero words (golden ratio, π, e, √2). */
const initialKey: Key = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x6a09e667];

/**
 * A seeded random stream that can be split by name. A child depends on the seed and its path alone, never on
 * how much the parent has drawn, so `rng.split("dropout", step)` gives the same numbers in a resumed run.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand), keyed by 128 bits.
 */
export class Rng {
  readonly #key: Key;
  #a: number;
  #b: number;
  #c: number;
  #counter: number;
  #spareNormal: number | undefined;

  /**
   * @param seed any finite number, or the parent stream; equal seeds and paths give equal streams
   * @param path names of the branch
   */
  constructor(seed: number | Rng, ...path: readonly (string | number)[]) {
    let key = seed instanceof Rng ? seed.#key : absorb(initialKey, `seed:${seed}`);
    for (const part of path) key = absorb(key, `${typeof part}:${part}`);
    this.#key = key;
    [this.#a, this.#b, this.#c, this.#counter] = key;
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** An independent stream named by `path`. */
  split(...path: readonly (string | number)[]): Rng {
    return new Rng(this, ...path);
  }

  /** Uniform over 0 … 2³² − 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** Uniform over [0, 1) in steps of 2⁻⁵³. */
  uniform(): number {
    return (this.uint32() * 0x200000 + (this.uint32() >>> 11)) / 0x20000000000000;
  }

  /**
   * Uniform over 0 … `below` − 1 without modulo bias.
   * @param below a whole number from 1 to 2³²
   * @throws OPTION_INVALID
   */
  integer(below: number): number {
    if (!(Number.isInteger(below) && below >= 1 && below <= 0x100000000)) {
      throw new PtuningError(
        "OPTION_INVALID",
        `below: expected a whole number from 1 to 2^32, got ${below}.`,
      );
    }
    const limit = 0x100000000 - (0x100000000 % below);
    for (;;) {
      const drawn = this.uint32();
      if (drawn < limit) return drawn % below;
    }
  }

  /** Standard normal (Box–Muller). */
  normal(): number {
    if (this.#spareNormal !== undefined) {
      const spare = this.#spareNormal;
      this.#spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Shuffles in place (Fisher–Yates) and returns its argument. */
  shuffle<T extends { [index: number]: unknown; readonly length: number }>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  }
}

/** Mixes a text into a 128-bit key: multiply–xor rounds as in MurmurHash3. */
function absorb(key: Key, text: string): Key {
  let [a, b, c, d] = key;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = b ^ Math.imul(a ^ code, 0x2545f491);
    b = c ^ Math.imul(b ^ code, 0x85ebca6b);
    c = d ^ Math.imul(c ^ code, 0xc2b2ae35);
    d = a ^ Math.imul(d ^ code, 0x27d4eb2f);
  }
  for (let round = 0; round < 2; round++) {
    a = finish(a + d);
    b = finish(b + a);
    c = finish(c + b);
    d = finish(d + c);
  }
  return [a, b, c, d];
}

function finish(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) | 0;
}
