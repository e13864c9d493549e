/** At most this share of a table's slots is taken. */
const fullShare = 0.8;

function slotsFor(entries: number): number {
  return Math.max(16, Math.ceil((entries + 1) / fullShare));
}

/**
 * Finds rows with equal keys among millions: of a row only its number and a hash are kept, eight bytes, and where two
 * hashes are equal the keys themselves are compared, asked for again.
 */
export class FirstRows {
  readonly #keysOf: (row: number) => readonly string[];
  /** Row + 1; 0 where the slot is free. */
  #rows: Int32Array;
  #hashes: Int32Array;
  #entries = 0;

  /**
   * @param keysOf every key of a row
   * @param expected entries to be had room for
   */
  constructor(keysOf: (row: number) => readonly string[], expected = 0) {
    this.#keysOf = keysOf;
    this.#rows = new Int32Array(slotsFor(expected));
    this.#hashes = new Int32Array(this.#rows.length);
  }

  /** The row that was added with a key; -1 where there is none. */
  find(key: string): number {
    return this.#rows[this.#slotOf(key, hashOf(key))]! - 1;
  }

  /** Adds a row with one of its keys, unless another has it. @returns the row that has it */
  add(row: number, key: string): number {
    const hash = hashOf(key);
    const slot = this.#slotOf(key, hash);
    if (this.#rows[slot] !== 0) return this.#rows[slot]! - 1;
    this.#rows[slot] = row + 1;
    this.#hashes[slot] = hash;
    if (++this.#entries > this.#rows.length * fullShare) this.#grow();
    return row;
  }

  /** Where a key is, or the free slot where it belongs. */
  #slotOf(key: string, hash: number): number {
    let slot = this.#homeOf(hash);
    for (; this.#rows[slot] !== 0; slot = this.#after(slot)) {
      if (this.#hashes[slot] === hash && this.#keysOf(this.#rows[slot]! - 1).includes(key)) break;
    }
    return slot;
  }

  /** The slot where a hash is looked for first: its share of all hashes, of all slots. */
  #homeOf(hash: number): number {
    return Math.floor(((hash >>> 0) / 2 ** 32) * this.#rows.length);
  }

  #after(slot: number): number {
    return slot + 1 === this.#rows.length ? 0 : slot + 1;
  }

  #grow(): void {
    const [rows, hashes] = [this.#rows, this.#hashes];
    this.#rows = new Int32Array(2 * rows.length);
    this.#hashes = new Int32Array(this.#rows.length);
    for (const [i, row] of rows.entries()) {
      if (row === 0) continue;
      let slot = this.#homeOf(hashes[i]!);
      while (this.#rows[slot] !== 0) slot = this.#after(slot);
      this.#rows[slot] = row;
      this.#hashes[slot] = hashes[i]!;
    }
  }
}

/** 32 bits, mixed as in MurmurHash3. */
function hashOf(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ (hash >>> 16)) | 0;
}
