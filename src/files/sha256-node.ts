import { createHash } from "node:crypto";
import type { Sha256 } from "./digest.ts";
import { sha256Of } from "./sha256-of.ts";

/** Begins a hash. */
export function createSha256(): Sha256 {
  return sha256Of(createHash("sha256"), {
    update: (hash, content) => hash.update(content),
    copy: (hash) => hash.copy(),
  });
}
