/** SHA-256 (FIPS 180-4) where no library of the system does it in pieces: Web Crypto wants all bytes at once. */
import type { Sha256 } from "./digest.ts";

/** Bytes of a block. */
const blockBytes = 64;

/** The first 32 bits of the fractional parts of a root of the first primes, as the standard defines its constants. */
function fractions(count: number, root: (prime: number) => number): Int32Array {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return Int32Array.from(primes, (prime) => Math.floor((root(prime) % 1) * 2 ** 32));
}

const initial = fractions(8, Math.sqrt);
const rounds = fractions(64, Math.cbrt);

const rotated = (word: number, by: number): number => (word >>> by) | (word << (32 - by));

class PortableSha256 implements Sha256 {
  readonly #state: Int32Array;
  /** Bytes of a block that is not full yet, `#length % 64` of them. */
  readonly #rest: Uint8Array;
  #length: number;

  constructor(state = initial.slice(), rest = new Uint8Array(blockBytes), length = 0) {
    this.#state = state;
    this.#rest = rest;
    this.#length = length;
  }

  update(content: string | Uint8Array): this {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    let at = 0;
    const filled = this.#length % blockBytes;
    this.#length += bytes.length;
    if (filled > 0) {
      at = Math.min(bytes.length, blockBytes - filled);
      this.#rest.set(bytes.subarray(0, at), filled);
      if (filled + at < blockBytes) return this;
      compress(this.#state, this.#rest, 0);
    }
    for (; at + blockBytes <= bytes.length; at += blockBytes) compress(this.#state, bytes, at);
    this.#rest.set(bytes.subarray(at));
    return this;
  }

  copy(): Sha256 {
    return new PortableSha256(this.#state.slice(), this.#rest.slice(), this.#length);
  }

  digest(): Uint8Array {
    const state = this.#state.slice();
    const filled = this.#length % blockBytes;
    // One bit, zeros, and the number of bits in the last eight bytes of a block.
    const end = new Uint8Array(filled < blockBytes - 8 ? blockBytes : 2 * blockBytes);
    end.set(this.#rest.subarray(0, filled));
    end[filled] = 0x80;
    new DataView(end.buffer).setBigUint64(end.length - 8, BigInt(this.#length) * 8n);
    for (let at = 0; at < end.length; at += blockBytes) compress(state, end, at);
    const digest = new DataView(new ArrayBuffer(32));
    for (const [i, word] of state.entries()) digest.setInt32(4 * i, word);
    return new Uint8Array(digest.buffer);
  }
}

const schedule = new Int32Array(64);

/** Takes the block of `bytes` that begins at `at` into the state. */
function compress(state: Int32Array, bytes: Uint8Array, at: number): void {
  const w = schedule;
  for (let i = 0; i < 16; i++) {
    const from = at + 4 * i;
    w[i] = (bytes[from]! << 24) | (bytes[from + 1]! << 16) | (bytes[from + 2]! << 8) | bytes[from + 3]!;
  }
  for (let i = 16; i < 64; i++) {
    const [x, y] = [w[i - 15]!, w[i - 2]!];
    const s0 = rotated(x, 7) ^ rotated(x, 18) ^ (x >>> 3);
    const s1 = rotated(y, 17) ^ rotated(y, 19) ^ (y >>> 10);
    w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
  }
  let [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!];
  let [e, f, g, h] = [state[4]!, state[5]!, state[6]!, state[7]!];
  for (let i = 0; i < 64; i++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + rounds[i]! + w[i]!) | 0;
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
  state[4]! += e;
  state[5]! += f;
  state[6]! += g;
  state[7]! += h;
}

/** Begins a hash. */
export function createSha256(): Sha256 {
  return new PortableSha256();
}
