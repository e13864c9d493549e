import {
  type ByteSource,
  type ExternalTensor,
  fileName,
  foldersOf,
  isExternal,
  PtuningError,
  withAllOpen,
} from "../core/index.ts";
import type { Graph } from "../graph/index.ts";
import type { TensorPlace } from "../onnx/index.ts";

/** Bytes that a runtime is handed under the name that a model has for them. */
export interface NamedBytes {
  readonly path: string;
  readonly data: Uint8Array;
}

/** Where a runtime finds the frozen tensors of a graph: all in files that it maps by itself, or all in memory. */
export interface ExternalPlaces {
  placeOf(tensor: ExternalTensor): TensorPlace;
  /** Folder of the files. */
  readonly folder?: string;
  /** What was read, in memory of its own. */
  readonly read?: NamedBytes;
}

/** What models call the bytes in memory. */
const readName = "weights";

/** Where numbers of every type may start. */
const alignment = 64;

/**
 * Finds a place for each external tensor: the file of its source where all lie in files of this machine, else bytes that
 * are read now (ONNX Runtime takes no files beside bytes).
 * @throws ENGINE_FAILED if the files lie in several folders: runtimes take one; FILE_INVALID if a source cannot be read
 */
export async function externalPlaces(graph: Graph): Promise<ExternalPlaces> {
  const tensors = new Set([...graph.initializers.values()].filter(isExternal));
  const sources = sourcesOf(tensors);
  if (sources.some(({ path }) => path === undefined)) return readAll(tensors);
  const folders = foldersOf(sources);
  if (folders.size > 1) {
    throw new PtuningError("ENGINE_FAILED", `weights: expected one folder, got ${[...folders].join(", ")}.`);
  }
  const [folder] = folders;
  return {
    placeOf: ({ source, offset }) => ({ location: fileName({ name: source.path! }), offset }),
    ...(folder !== undefined && { folder }),
  };
}

const sourcesOf = (tensors: Iterable<ExternalTensor>): ByteSource[] =>
  Array.from(tensors, ({ source }) => source);

async function readAll(tensors: Iterable<ExternalTensor>): Promise<ExternalPlaces> {
  const offsets = new Map<ExternalTensor, number>();
  let end = 0;
  for (const tensor of tensors) {
    offsets.set(tensor, end);
    end = Math.ceil((end + tensor.byteLength) / alignment) * alignment;
  }
  const data = new Uint8Array(end);
  await withAllOpen(sourcesOf(tensors), async (openOf) => {
    for (const [{ source, offset, byteLength }, at] of offsets)
      data.set(await openOf(source).read(offset, byteLength), at);
  });
  return {
    placeOf: (tensor) => ({ location: readName, offset: offsets.get(tensor)! }),
    read: { path: readName, data },
  };
}
