import type { ByteSource } from "../core/index.ts";
import {
  createSha256,
  type Files,
  fileBytes,
  hashText,
  hex,
  type SafetensorsHeader,
} from "../files/portable.ts";
import { tokenizerFingerprint } from "../text/portable.ts";

/** SHA-256 of a source as lower-case hex. */
export type HashSource = (source: ByteSource, signal?: AbortSignal) => Promise<string>;

/** Bytes that are read at once. */
const pieceBytes = 1 << 24;

/** Reads the whole source. */
export const hashWhole: HashSource = async (source, signal) => {
  const hash = createSha256();
  for (let at = 0; at < source.size; at += pieceBytes) {
    signal?.throwIfAborted();
    hash.update(await source.read(at, Math.min(pieceBytes, source.size - at)));
  }
  return hex(hash.digest());
};

/**
 * Identifies a backbone: a SHA-256 over all that changes its answers. That is every byte of its weight files, its
 * `config.json`, and what decides which tokens a text becomes.
 * @param weights the files with the weights, in the order of their names
 * @throws BACKBONE_INVALID if a file of the tokenizer is damaged
 */
export async function fingerprintOf(
  files: Files,
  weights: readonly ByteSource[],
  hash: HashSource,
  signal?: AbortSignal,
): Promise<string> {
  const parts = [
    `config ${hashText(await fileBytes(files, "config.json"))}\n`,
    `tokenizer ${await tokenizerFingerprint(files)}\n`,
  ];
  for (const source of weights) parts.push(`weights ${await hash(source, signal)}\n`);
  return `sha256-v2:${hashText(parts.join(""))}`;
}

/** Samples of the weights that went into the former fingerprint. */
const samples = 256;
const sampleBytes = 64;

/**
 * The fingerprint that adapters carried before formatVersion 2: over `config.json`, the vocabulary, every tensor's name,
 * type and shape, and bytes sampled from the data. Two checkpoints may share it, so it is no key of anything.
 */
export async function formerFingerprint(files: Files): Promise<FormerFingerprint> {
  const hash = createSha256();
  for (const name of ["config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"]) {
    hash.update(await fileBytes(files, name).catch(() => ""));
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
    digest: () => `sha256-sampled:${hex(hash.digest())}`,
  };
}

interface FormerFingerprint {
  /** A weight file, in the order of their names. */
  add(source: ByteSource, tensors: SafetensorsHeader["tensors"]): Promise<void>;
  digest(): string;
}
