import { sha256 } from "@noble/hashes/sha2.js";
import type { Sha256 } from "./digest.ts";

/** Where no library of the system hashes in pieces: Web Crypto wants all bytes at once. */
class PortableSha256 implements Sha256 {
  readonly #hash: ReturnType<typeof sha256.create>;

  constructor(hash = sha256.create()) {
    this.#hash = hash;
  }

  update(content: string | Uint8Array): this {
    this.#hash.update(typeof content === "string" ? new TextEncoder().encode(content) : content);
    return this;
  }

  copy(): Sha256 {
    return new PortableSha256(this.#hash.clone());
  }

  digest(): Uint8Array {
    return this.#hash.clone().digest();
  }
}

/** Begins a hash. */
export function createSha256(): Sha256 {
  return new PortableSha256();
}
