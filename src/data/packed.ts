import { countWhile, lazyArray } from "../core/index.ts";
import { ValueCodec } from "./value-codec.ts";

/** Examples begin within so many bytes of a page's start: their places take two bytes each. */
const pageBytes = 2 ** 16;

/** Examples behind one another. */
interface Page {
  /** Number of its first example. */
  readonly first: number;
  /** Line of its first example. */
  readonly line: number;
  readonly bytes: Buffer;
  /** Where each begins. */
  readonly starts: Uint16Array;
}

/**
 * Collects examples outside of the JavaScript heap, some twenty bytes for a short text with a label where objects take
 * a hundred; an object is made when one is read.
 */
export class PackedExamples<E extends { readonly line?: number }> {
  readonly #codec = new ValueCodec();
  readonly #pages: Page[] = [];
  readonly #starts = new Uint16Array(pageBytes);
  /** Examples of the page that is being written, and of those before it. */
  #count = 0;
  #first = 0;
  #line = 0;
  /** The page that was read last: mostly the next one is read there, too. */
  #lastRead = 0;

  /** @returns how many bytes it takes */
  push(example: E): number {
    if (this.#codec.length >= pageBytes) this.#close();
    const { line } = example;
    if (this.#count === 0) this.#line = line ?? 0;
    // Lines mostly go up by one: what is beside that takes a byte.
    const own = line === undefined ? example : { ...example, line: line - this.#line - this.#count };
    const start = this.#codec.length;
    this.#starts[this.#count++] = start;
    this.#codec.write(own);
    return this.#codec.length - start + this.#starts.BYTES_PER_ELEMENT;
  }

  /** All examples; nothing is added any more. */
  finish(): readonly E[] {
    if (this.#count > 0) this.#close();
    return lazyArray(this.#first, (index) => this.#read(index));
  }

  #close(): void {
    const starts = this.#starts.slice(0, this.#count);
    this.#pages.push({ first: this.#first, line: this.#line, bytes: this.#codec.take(), starts });
    this.#first += this.#count;
    this.#count = 0;
  }

  #read(index: number): E {
    const { first, line, bytes, starts } = this.#pageOf(index);
    const place = index - first;
    const example = this.#codec.read(bytes, starts[place]!) as E & { line?: number };
    if (example.line !== undefined) example.line += line + place;
    return example;
  }

  #pageOf(index: number): Page {
    const last = this.#pages[this.#lastRead]!;
    const place = index - last.first;
    if (place >= 0 && place < last.starts.length) return last;
    this.#lastRead = countWhile(this.#pages.length, (page) => this.#pages[page]!.first <= index) - 1;
    return this.#pages[this.#lastRead]!;
  }
}
