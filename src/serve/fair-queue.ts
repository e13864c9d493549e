/** What waits in a queue: of which adapter it is, and what it costs. */
export interface Costed {
  readonly adapter: string;
  /** Tokens, padding included. */
  readonly tokens: number;
}

/** Counters of adapters that are kept though nothing of theirs waits. */
const idleCounters = 10_000;

/**
 * A queue that is fair between adapters, not between texts: next is the first text of the adapter that was given least,
 * counted in tokens. Who had nothing to say begins with as much as the least of the others, so that nobody saves up turns
 * (the virtual token counter of "Fairness in Serving Large Language Models", OSDI 2024).
 */
export class FairQueue<E extends Costed> {
  readonly #waiting = new Map<string, E[]>();
  readonly #served = new Map<string, number>();
  /** What the latest of all that were taken had been given before. */
  #floor = 0;
  #size = 0;
  #tokens = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Their tokens. */
  get tokens(): number {
    return this.#tokens;
  }

  push(entry: E): void {
    const { adapter, tokens } = entry;
    const line = this.#waiting.get(adapter);
    if (line === undefined) {
      this.#waiting.set(adapter, [entry]);
      this.#served.set(adapter, Math.max(this.#floor, this.#served.get(adapter) ?? 0));
    } else line.push(entry);
    this.#size++;
    this.#tokens += tokens;
  }

  /** Takes what is next, as long as all together cost no more than `budget`; at least one, if any waits. */
  take(budget: number): E[] {
    const taken: E[] = [];
    let cost = 0;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const line = this.#waiting.get(next)!;
      const entry = line[0]!;
      if (taken.length > 0 && cost + entry.tokens > budget) break;
      line.shift();
      if (line.length === 0) this.#waiting.delete(next);
      const served = this.#served.get(next)!;
      this.#floor = Math.max(this.#floor, served);
      // The map keeps the order in which they were served.
      this.#served.delete(next);
      this.#served.set(next, served + entry.tokens);
      this.#size--;
      this.#tokens -= entry.tokens;
      cost += entry.tokens;
      taken.push(entry);
    }
    this.#forget();
    return taken;
  }

  /** Takes out all that `isGone` says. @returns them */
  remove(isGone: (entry: E) => boolean): E[] {
    const removed: E[] = [];
    for (const [adapter, line] of this.#waiting) {
      const kept = line.filter((entry) => !isGone(entry));
      if (kept.length === line.length) continue;
      this.#size -= line.length - kept.length;
      for (const entry of line) {
        if (!isGone(entry)) continue;
        this.#tokens -= entry.tokens;
        removed.push(entry);
      }
      if (kept.length === 0) this.#waiting.delete(adapter);
      else this.#waiting.set(adapter, kept);
    }
    return removed;
  }

  /** The adapter that was given least of those with something waiting. */
  #next(): string | undefined {
    let [found, least] = [undefined as string | undefined, Number.POSITIVE_INFINITY];
    for (const adapter of this.#waiting.keys()) {
      const served = this.#served.get(adapter)!;
      if (served < least) [found, least] = [adapter, served];
    }
    return found;
  }

  /** Counters of those that were served longest ago are not kept for ever. */
  #forget(): void {
    let spare = this.#served.size - this.#waiting.size - idleCounters;
    if (spare <= 0) return;
    for (const adapter of this.#served.keys()) {
      if (spare <= 0) return;
      if (this.#waiting.has(adapter)) continue;
      this.#served.delete(adapter);
      spare--;
    }
  }
}
