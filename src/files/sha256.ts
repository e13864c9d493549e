/** Where no library of the system hashes in pieces: Web Crypto wants all bytes at once. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Sha256 } from "./digest.ts";
import { sha256Of } from "./sha256-of.ts";

const encoder = new TextEncoder();

/** Begins a hash. */
export function createSha256(): Sha256 {
  return sha256Of(sha256.create(), {
    update: (hash, content) => hash.update(typeof content === "string" ? encoder.encode(content) : content),
    copy: (hash) => hash.clone(),
  });
}
