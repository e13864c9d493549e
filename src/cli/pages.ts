import { once } from "node:events";

/** Items that are written at once, at most. */
const pageItems = 256;

/**
 * Standard output for many items: they are written page by page, but as soon as nothing more comes at once; who writes waits
 * for a reader that is slower.
 */
export class Pages<T> {
  readonly #render: (items: readonly T[], isFirst: boolean) => string;
  readonly #firstDelay: number;
  #items: T[] = [];
  #isFirst = true;
  #stopWaiting: (() => void) | undefined;

  /**
   * @param render what a page is written as
   * @param firstDelay milliseconds that the first page is waited for, so that it shows more of what is to come
   */
  constructor(render: (items: readonly T[], isFirst: boolean) => string, firstDelay = 0) {
    this.#render = render;
    this.#firstDelay = firstDelay;
  }

  async write(item: T): Promise<void> {
    this.#items.push(item);
    if (this.#items.length >= pageItems) await this.end();
    else this.#stopWaiting ??= this.#later();
  }

  /** Writes what is there, and waits until the reader can take more. */
  async end(): Promise<void> {
    if (!this.#send()) await once(process.stdout, "drain");
  }

  #later(): () => void {
    const send = (): void => void this.#send();
    if (this.#isFirst && this.#firstDelay > 0) {
      const timer = setTimeout(send, this.#firstDelay);
      return () => clearTimeout(timer);
    }
    const immediate = setImmediate(send);
    return () => clearImmediate(immediate);
  }

  #send(): boolean {
    this.#stopWaiting?.();
    this.#stopWaiting = undefined;
    if (this.#items.length === 0) return true;
    const text = this.#render(this.#items, this.#isFirst);
    this.#items = [];
    this.#isFirst = false;
    return process.stdout.write(text);
  }
}
