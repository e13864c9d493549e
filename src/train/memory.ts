import { byteSize, type DimBindings, elementCount, isExternal, PtuningError } from "../core/index.ts";
import { type Graph, planMemory, simplify } from "../graph/index.ts";

/** Decimal units, as disks and `ptuning` print them, and binary ones. */
const units: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Bytes of `"2 GB"`, `"512 MiB"` or a number; infinite for `"none"`, `undefined` for anything else. */
export function parseBytes(size: number | string): number | undefined {
  if (size === "none") return Number.POSITIVE_INFINITY;
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(size)) ?? [];
  const factor = units[unit?.toLowerCase() ?? "?"];
  const bytes = factor === undefined ? Number.NaN : Number(digits) * factor;
  return bytes > 0 ? bytes : undefined;
}

/** What the runtime's allocator takes for each byte that a plan counts: it cannot always reuse a gap. Measured. */
const allocatorFactor = 1.25;

/** Bytes that the runtime keeps for each node of a graph, apart from tensors. Measured. */
const bytesPerNode = 8_000;

/** Node, the runtime's library and its thread, and what a run keeps beside its session. Measured. */
const processBytes = 170e6;

/** Per token of the data: its id and type, and the text that it comes from. Measured. */
const bytesPerToken = 20;

/**
 * Bytes of the process before its session. The same at every start, whatever the process has done before: a resumed
 * run must cut its batches as before.
 */
export const idleBytes = (tokens: number): number => processBytes + bytesPerToken * tokens;

/** A graph and how large it is run. */
export interface PlannedSession {
  readonly graph: Graph;
  readonly sizes: DimBindings;
  /** Copies of each weight in memory: 1 mapped or packed in place, 2 where fp32 weights are packed per direction. */
  readonly weightCopies: number;
}

/**
 * Bytes that a session is estimated to take above the process that opens it: weights, the plan of its tensors, and
 * the graph itself. An embedding table counts with the rows that a batch reads at most.
 */
export function estimateSessionBytes({ graph, sizes, weightCopies }: PlannedSession): number {
  const simplified = simplify(graph);
  const tables = new Set(
    simplified.nodes.filter(({ op }) => op === "Gather" || op === "Slice").map(({ inputs }) => inputs[0]),
  );
  let weights = 0;
  for (const [value, source] of simplified.initializers) {
    if (!isExternal(source) || tables.has(value)) continue;
    weights += byteSize(source.dtype) * elementCount(source.shape) * weightCopies;
  }
  return (
    weights +
    allocatorFactor * planMemory(simplified, sizes).peakBytes +
    bytesPerNode * simplified.nodes.length
  );
}

/**
 * The largest number of examples per pass with which a run fits, cutting the batch into equal parts.
 * @param estimate bytes of the process when passes have so many examples
 * @throws OPTION_INVALID if not even single examples fit
 */
export function fitMicroBatch(
  batchSize: number,
  limit: number,
  estimate: (microBatchSize: number) => number,
): number {
  for (let parts = 1; parts <= batchSize; parts++) {
    const size = Math.ceil(batchSize / parts);
    if (parts > 1 && size === Math.ceil(batchSize / (parts - 1))) continue;
    if (estimate(size) <= limit) return size;
  }
  const least = Math.ceil(estimate(1) / 1e6);
  throw new PtuningError(
    "OPTION_INVALID",
    `memoryLimit: expected at least ${least} MB for one example at a time, got ${Math.round(limit / 1e6)} MB.`,
    { hint: "Use memory: lean, precision: int8 or int4, a smaller maxLength, or a smaller backbone." },
  );
}

/** Bytes that this process may still take; without end where nobody can tell. */
export function freeBytes(): number {
  return globalThis.process?.availableMemory?.() ?? Number.POSITIVE_INFINITY;
}
