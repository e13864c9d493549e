import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type ByteSource,
  type HashOptions,
  hashFileOnce,
  readBytes,
  type SafetensorsHeader,
} from "../files/index.ts";
import { tokenizerFingerprint } from "../text/index.ts";

/**
 * Identifies a backbone: a SHA-256 over all that changes its answers. That is every byte of its weight files, its
 * `config.json`, and what decides which tokens a text becomes.
 * @param files the weight files, in the order of their names
 * @throws BACKBONE_INVALID if a file of the tokenizer is damaged
 */
export async function fingerprintOf(
  folder: string,
  files: readonly string[],
  options: HashOptions = {},
): Promise<string> {
  const hash = createHash("sha256");
  const config = await readBytes(join(folder, "config.json"));
  hash.update(`config ${createHash("sha256").update(config).digest("hex")}\n`);
  hash.update(`tokenizer ${await tokenizerFingerprint(folder)}\n`);
  for (const file of files) hash.update(`weights ${await hashFileOnce(file, options)}\n`);
  return `sha256-v2:${hash.digest("hex")}`;
}

/** Samples of the weights that went into the former fingerprint. */
const samples = 256;
const sampleBytes = 64;

/**
 * The fingerprint that adapters carried before formatVersion 2: over `config.json`, the vocabulary, every tensor's name,
 * type and shape, and bytes sampled from the data. Two checkpoints may share it, so it is no key of anything.
 */
export async function formerFingerprint(folder: string): Promise<FormerFingerprint> {
  const hash = createHash("sha256");
  for (const name of ["config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"]) {
    hash.update(await readBytes(join(folder, name)).catch(() => ""));
  }
  return {
    async add(source, tensors) {
      for (const [name, { dtype, shape }] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
        hash.update(`${name}:${dtype}:${shape}\n`);
      }
      for (let i = 0; i < samples; i++) {
        const offset = Math.floor((i / samples) * (source.size - sampleBytes));
        hash.update(await source.read(Math.max(0, offset), Math.min(sampleBytes, source.size)));
      }
    },
    digest: () => `sha256-sampled:${hash.digest("hex")}`,
  };
}

interface FormerFingerprint {
  /** A weight file, in the order of their names. */
  add(source: ByteSource, tensors: SafetensorsHeader["tensors"]): Promise<void>;
  digest(): string;
}
