/** Slots of a table for so many entries: at most half of them are taken. */
function slotsFor(entries: number): number {
  return 2 ** Math.max(4, Math.ceil(Math.log2(2 * entries + 1)));
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
    if (2 * ++this.#entries > this.#rows.length) this.#grow();
    return row;
  }

  /** Where a key is, or the free slot where it belongs. */
  #slotOf(key: string, hash: number): number {
    const mask = this.#rows.length - 1;
    let slot = hash & mask;
    for (; this.#rows[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#hashes[slot] === hash && this.#keysOf(this.#rows[slot]! - 1).includes(key)) break;
    }
    return slot;
  }

  #grow(): void {
    const [rows, hashes] = [this.#rows, this.#hashes];
    this.#rows = new Int32Array(2 * rows.length);
    this.#hashes = new Int32Array(this.#rows.length);
    const mask = this.#rows.length - 1;
    for (const [i, row] of rows.entries()) {
      if (row === 0) continue;
      let slot = hashes[i]! & mask;
      while (this.#rows[slot] !== 0) slot = (slot + 1) & mask;
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
