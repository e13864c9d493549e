import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import {
  type ExternalTensor,
  elementCount,
  PtuningError,
  systemCode,
  type Tensor,
  toFloat32,
} from "../core/index.ts";
import { openFile, readBytes, readJson, readSafetensorsHeader, readTensor } from "../files/index.ts";
import type { Architecture } from "./architecture.ts";

/** What the headers of a checkpoint's files say. */
export interface Checkpoint {
  /** Our weight name → where it lies. */
  readonly weights: ReadonlyMap<string, ExternalTensor>;
  /** Identifies the weights and the tokenizer; see {@link openCheckpoint}. */
  readonly fingerprint: string;
  readonly parameterCount: number;
}

const single = "model.safetensors";
const index = "model.safetensors.index.json";

/** Samples of the weights that go into the fingerprint: enough to tell any two trainings apart, in a millisecond. */
const fingerprintSamples = 256;
const sampleBytes = 64;

/**
 * Reads the headers of a checkpoint's safetensors files; no weight is read. The fingerprint is a SHA-256 over
 * `config.json`, the tokenizer file, every tensor's name, type and shape, and bytes sampled evenly from the data.
 * @throws BACKBONE_INVALID if there is no safetensors file
 */
export async function openCheckpoint(folder: string, architecture: Architecture): Promise<Checkpoint> {
  const weights = new Map<string, ExternalTensor>();
  const hash = createHash("sha256");
  let parameterCount = 0;
  for (const name of ["config.json", "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"]) {
    hash.update(await readBytes(join(folder, name)).catch(() => ""));
  }
  for (const file of await weightFiles(folder)) {
    // The runtime refuses links; hub caches are made of them.
    const path = await realpath(join(folder, file)).catch((cause: unknown) => {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${join(folder, file)}: expected weights, got no such file.`,
        {
          hint: "The download of this backbone is not complete: remove the folder and fetch it again.",
          cause,
        },
      );
    });
    const source = await openFile(path);
    const { tensors } = await readSafetensorsHeader(source);
    for (const [checkpointName, entry] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`${checkpointName}:${entry.dtype}:${entry.shape}\n`);
      const name = architecture.weightName(checkpointName);
      if (name === undefined) continue;
      parameterCount += elementCount(entry.shape);
      weights.set(name, { ...entry, folder: dirname(path), file: basename(path) });
    }
    for (let i = 0; i < fingerprintSamples; i++) {
      const offset = Math.floor((i / fingerprintSamples) * (source.size - sampleBytes));
      hash.update(await source.read(Math.max(0, offset), Math.min(sampleBytes, source.size)));
    }
    await source.close();
  }
  return { weights, fingerprint: `sha256-sampled:${hash.digest("hex")}`, parameterCount };
}

async function weightFiles(folder: string): Promise<string[]> {
  if (await exists(join(folder, single))) return [single];
  if (await exists(join(folder, index))) {
    const json = (await readJson(join(folder, index))) as { weight_map?: Record<string, unknown> } | null;
    const files = [...new Set(Object.values(json?.weight_map ?? {}))].map(String).sort();
    const foreign = files.find((file) => basename(file) !== file || file === "..");
    if (foreign !== undefined) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${join(folder, index)}: expected plain file names, got "${foreign}".`,
      );
    }
    return files;
  }
  throw new PtuningError("BACKBONE_INVALID", `${folder}: expected ${single} (or ${index}), found neither.`, {
    hint: "Checkpoints in other formats can be converted with transformers: model.save_pretrained(folder).",
  });
}

async function exists(path: string): Promise<boolean> {
  return realpath(path).then(
    () => true,
    (error) => {
      if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return false;
      throw error;
    },
  );
}

/**
 * One weight, read into memory as float32.
 * @throws BACKBONE_INVALID if there is none of this name
 */
export async function readWeight(
  weights: ReadonlyMap<string, ExternalTensor>,
  name: string,
  id: string,
): Promise<Tensor<"float32">> {
  const source = weights.get(name);
  if (source === undefined) {
    throw new PtuningError("BACKBONE_INVALID", `backbone ${id}: weight "${name}": expected it, got none.`);
  }
  const file = await openFile(join(source.folder, source.file));
  try {
    return toFloat32(await readTensor(file, source));
  } finally {
    await file.close();
  }
}
