import { getHeapStatistics } from "node:v8";
import { PtuningError } from "../core/index.ts";

/** What examples may take of the heap: a run needs as much again to compare them and lay out their tokens. */
const shareOfHeap = 1 / 3;
/** With that much in use, whatever it is, the process is about to end. */
const fullShare = 0.85;
/** An object with some fields. */
const exampleBytes = 160;
const partBytes = 24;
/** How much is taken in between two looks at the heap. */
const lookBytes = 16 * 2 ** 20;

/**
 * Counts what examples take in memory. A small compressed file can hold more rows than there is memory, and a heap that
 * overflows ends the process.
 */
export class HeldExamples {
  readonly #limit = getHeapStatistics().heap_size_limit;
  #bytes = 0;
  #count = 0;
  #nextLook = lookBytes;

  /** @throws DATA_INVALID where memory ends */
  add(example: unknown, path: string): void {
    this.#count++;
    this.#bytes += exampleBytes + sizeOf(example);
    if (this.#bytes > this.#limit * shareOfHeap) throw this.#full(path);
    if (this.#bytes < this.#nextLook) return;
    this.#nextLook = this.#bytes + lookBytes;
    if (getHeapStatistics().used_heap_size > this.#limit * fullShare) throw this.#full(path);
  }

  #full(path: string): PtuningError {
    const [held, limit] = [this.#bytes, this.#limit].map((bytes) => `${Math.round(bytes / 2 ** 20)} MB`);
    return new PtuningError(
      "DATA_INVALID",
      `${path}: expected examples that fit in memory, got more: ${this.#count} take ${held} of the ${limit} that the process may use.`,
      {
        hint: "Train on a part of the file, or give Node more memory: NODE_OPTIONS=--max-old-space-size=16000 (in MB).",
      },
    );
  }
}

/** Bytes of the texts and lists inside a value, roughly. */
function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + partBytes;
  if (typeof value !== "object" || value === null) return 8;
  let bytes = partBytes;
  if (Array.isArray(value)) for (const part of value) bytes += sizeOf(part);
  else for (const key in value) bytes += sizeOf((value as Record<string, unknown>)[key]);
  return bytes;
}
