import {
  type ByteSource,
  type ExternalTensor,
  elementCount,
  isFloat,
  PtuningError,
  shown,
  type Tensor,
  toFloat32,
  withOpen,
} from "../core/index.ts";
import { type Files, readTensor, type TensorEntry } from "../files/portable.ts";
import type { Architecture, BackboneConfig } from "./architecture.ts";
import { formerFingerprint } from "./fingerprint.ts";
import { findWeightFiles, safetensorsFormat, type WeightFormat } from "./weight-files.ts";
import { standsIn, weightNamer } from "./weight-names.ts";

/** Where a weight lies, row-major or with strides. */
export interface StoredWeight extends ExternalTensor, Pick<TensorEntry, "strides"> {}

/** What the headers of a checkpoint's files say. */
export interface Checkpoint {
  /** Our weight name → where it lies. */
  readonly weights: ReadonlyMap<string, StoredWeight>;
  /** The files with the weights, in the order of their names. */
  readonly sources: readonly ByteSource[];
  /**
   * What adapters before formatVersion 2 call the backbone; other backbones may have the same. Absent where there were none
   * of its format.
   */
  readonly formerFingerprint?: string;
  readonly parameterCount: number;
}

/**
 * Reads the headers of a checkpoint's files; no weight is read.
 * @param formats of the weights that may be read; of several in one folder the first is taken
 * @throws BACKBONE_INVALID if there are none, one of several is missing, a weight is there twice or holds no floats;
 *   FILE_INVALID if a file is damaged
 */
export async function openCheckpoint(
  files: Files,
  architecture: Architecture,
  config: BackboneConfig,
  formats: readonly WeightFormat[] = [safetensorsFormat],
): Promise<Checkpoint> {
  const nameOf = weightNamer(architecture, config);
  const { format, files: names, placeOf } = await findWeightFiles(files, formats);
  const found = new Map<string, FoundWeight>();
  const sources: ByteSource[] = [];
  const former = format.hasFormerFingerprint ? await formerFingerprint(files) : undefined;
  for (const file of names) {
    const source = await files.find(file);
    if (source === undefined) {
      throw new PtuningError(
        "BACKBONE_INVALID",
        `${files.where(file)}: expected weights, got no such file.`,
        { hint: "The download of this backbone is not complete: remove the folder and fetch it again." },
      );
    }
    sources.push(source);
    const tensors = await withOpen(source, async (open) => {
      const header = await format.readHeader(open);
      await former?.add(open, header.tensors);
      return header.tensors;
    });
    for (const [checkpointName, entry] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
      // What the index says to lie elsewhere is taken from there.
      if ((placeOf.get(checkpointName) ?? file) !== file) continue;
      for (const [own, piece] of piecesOf(architecture, checkpointName, entry, source.name)) {
        const name = nameOf(own);
        if (name === undefined) continue;
        addWeight(found, { name, checkpointName: own, weight: { ...piece, source } }, source.name);
      }
    }
  }
  const weights = new Map([...found].map(([name, { weight }]) => [name, weight]));
  return {
    weights,
    sources,
    ...(former && { formerFingerprint: former.digest() }),
    parameterCount: [...weights.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0),
  };
}

/** The tensors that one of a file stands for: itself, or stretches of its rows. */
function piecesOf(
  { piecesOf: namesOf }: Pick<Architecture, "piecesOf">,
  checkpointName: string,
  entry: TensorEntry,
  path: string,
): readonly (readonly [name: string, entry: TensorEntry])[] {
  const names = namesOf?.(checkpointName) ?? [checkpointName];
  if (names.length === 1) return [[names[0]!, entry]];
  const [rows = 0, ...widths] = entry.shape;
  if (rows % names.length !== 0 || entry.strides !== undefined) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${path}: weight ${shown(checkpointName)}: expected ${names.length} equal stretches of rows, got [${entry.shape.join(", ")}]${entry.strides ? " with strides" : ""}.`,
    );
  }
  const byteLength = entry.byteLength / names.length;
  const shape = [rows / names.length, ...widths];
  return names.map((name, i) => [
    name,
    { ...entry, shape, offset: entry.offset + i * byteLength, byteLength },
  ]);
}

interface FoundWeight {
  readonly name: string;
  readonly checkpointName: string;
  readonly weight: StoredWeight;
}

/** Takes a weight that was found; tied ones, in one place under two names, are one. */
function addWeight(found: Map<string, FoundWeight>, one: FoundWeight, path: string): void {
  const { name, checkpointName, weight } = one;
  if (!isFloat(weight.dtype)) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${path}: weight ${shown(checkpointName)}: expected floats, got ${weight.dtype}.`,
      { hint: "Checkpoints that other programs have quantised cannot be read: take the original." },
    );
  }
  const known = found.get(name);
  if (known === undefined || (standsIn(known.checkpointName) && !standsIn(checkpointName))) {
    found.set(name, one);
  } else if (
    standsIn(known.checkpointName) === standsIn(checkpointName) &&
    !isSamePlace(known.weight, weight)
  ) {
    throw new PtuningError(
      "BACKBONE_INVALID",
      `${path}: weight "${name}": expected it once, got ${shown(known.checkpointName)} and ${shown(checkpointName)}.`,
    );
  }
}

function isSamePlace(a: StoredWeight, b: StoredWeight): boolean {
  return a.source === b.source && a.offset === b.offset && `${a.shape}` === `${b.shape}`;
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
  const weight = weights.get(name);
  if (weight === undefined) {
    throw new PtuningError("BACKBONE_INVALID", `backbone ${id}: weight "${name}": expected it, got none.`);
  }
  return toFloat32(await readTensor(weight.source, weight));
}
