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
import { openFile, readJson, readSafetensorsHeader, readTensor } from "../files/index.ts";
import type { Architecture, BackboneConfig } from "./architecture.ts";
import { formerFingerprint } from "./fingerprint.ts";
import { weightNamer } from "./weight-names.ts";

/** What the headers of a checkpoint's files say. */
export interface Checkpoint {
  /** Our weight name → where it lies. */
  readonly weights: ReadonlyMap<string, ExternalTensor>;
  /** The files with the weights, in the order of their names. */
  readonly files: readonly string[];
  /** What adapters before formatVersion 2 call the backbone; other backbones may have the same. */
  readonly formerFingerprint: string;
  readonly parameterCount: number;
}

const single = "model.safetensors";
const index = "model.safetensors.index.json";

/**
 * Reads the headers of a checkpoint's safetensors files; no weight is read.
 * @throws BACKBONE_INVALID if there is no safetensors file
 */
export async function openCheckpoint(
  folder: string,
  architecture: Architecture,
  config: BackboneConfig,
): Promise<Checkpoint> {
  const nameOf = weightNamer(architecture, config);
  const weights = new Map<string, ExternalTensor>();
  const files: string[] = [];
  const former = await formerFingerprint(folder);
  let parameterCount = 0;
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
    files.push(path);
    const source = await openFile(path);
    try {
      const { tensors } = await readSafetensorsHeader(source);
      for (const [checkpointName, entry] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const name = nameOf(checkpointName);
        if (name === undefined) continue;
        parameterCount += elementCount(entry.shape);
        weights.set(name, { ...entry, folder: dirname(path), file: basename(path) });
      }
      await former.add(source, tensors);
    } finally {
      await source.close();
    }
  }
  return { weights, files, formerFingerprint: former.digest(), parameterCount };
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
