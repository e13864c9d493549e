import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { PtuningError } from "../core/index.ts";

/** What examples may take of the memory of the machine or container: a run needs as much again to lay out their tokens. */
const shareOfMemory = 1 / 3;
/** What a run may need of the heap for what it notes of each example: its answer, its place in the order. */
const shareOfHeap = 1 / 3;
/** With that much in use, whatever it is, the process is about to end. */
const fullShare = 0.85;
/** Notes of an example, and of each item of its lists: a word has a tag. */
const exampleBytes = 64;
const itemBytes = 16;
/** How much is taken in between two looks at the heap. */
const lookBytes = 16 * 2 ** 20;

/**
 * Counts what examples take in memory: packed, outside of the heap, and what a run needs of the heap for them. A small
 * compressed file can hold more rows than there is memory, and a process that has none left ends.
 */
export class HeldExamples {
  readonly #memory = memoryLimit();
  readonly #heap = getHeapStatistics().heap_size_limit;
  #packed = 0;
  #noted = 0;
  #count = 0;
  #nextLook = lookBytes;

  /**
   * @param packed bytes that it takes
   * @throws DATA_INVALID where memory ends
   */
  add(example: unknown, packed: number, path: string): void {
    this.#count++;
    this.#packed += packed;
    this.#noted += exampleBytes + itemBytes * itemsOf(example);
    if (this.#packed > this.#memory * shareOfMemory) {
      throw this.#full(path, this.#packed, `${megabytes(this.#memory)} that this machine or container has`);
    }
    if (this.#noted > this.#heap * shareOfHeap) throw this.#heapFull(path);
    if (this.#packed + this.#noted < this.#nextLook) return;
    this.#nextLook = this.#packed + this.#noted + lookBytes;
    if (getHeapStatistics().used_heap_size > this.#heap * fullShare) throw this.#heapFull(path);
  }

  #heapFull(path: string): PtuningError {
    return this.#full(
      path,
      this.#noted,
      `${megabytes(this.#heap)} that the process may use of its heap`,
      ", or give Node more memory: NODE_OPTIONS=--max-old-space-size=16000 (in MB)",
    );
  }

  #full(path: string, bytes: number, limit: string, remedy = ""): PtuningError {
    return new PtuningError(
      "DATA_INVALID",
      `${path}: expected examples that fit in memory, got more: ${this.#count} need ${megabytes(bytes)} of the ${limit}.`,
      { hint: `Train on a part of the file${remedy}.` },
    );
  }
}

/** Memory of the container, where one is set, else of the machine. */
function memoryLimit(): number {
  const machine = totalmem();
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, machine) : machine;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}

/** Items of the lists inside a value. */
function itemsOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let items = Array.isArray(value) ? value.length : 0;
  for (const part of Object.values(value)) items += itemsOf(part);
  return items;
}
