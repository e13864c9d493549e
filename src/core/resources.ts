/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Things to be released together, the latest first: what `AsyncDisposableStack` is, which Node 20 has not. Declared with
 * `await using`, it releases them at the end of the block, unless `move` has handed them to somebody else.
 */
export class Resources implements AsyncDisposable {
  #releases: (() => unknown)[] = [];

  /** Releases `resource` with the others. @returns it */
  use<T extends AsyncDisposable | Disposable>(resource: T): T {
    this.#releases.push(() =>
      Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose](),
    );
    return resource;
  }

  /** Calls `release` when the others are released. */
  defer(release: () => unknown): void {
    this.#releases.push(release);
  }

  /** Hands everything to a new owner: nothing is released here any more. */
  move(): Resources {
    const moved = new Resources();
    [moved.#releases, this.#releases] = [this.#releases, []];
    return moved;
  }

  /**
   * Releases everything, each once; a second call does nothing.
   * @throws the first error of a release, behind all the others
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await release();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
