import { type AdapterSource, readAdapter, type SavedAdapter } from "../../adapters/portable.ts";
import { closest, PtuningError } from "../../core/index.ts";
import type { AddOptions, PooledAdapter, PooledTask, StopOptions } from "./pool.ts";

/** What of an adapter is in memory while it is: its bytes are free as soon as it is disposed. */
export interface Loaded<T> extends Disposable {
  readonly tasks: ReadonlyMap<string, T>;
  readonly about: Pick<PooledAdapter, "method" | "fingerprint" | "warnings">;
  readonly bytes: number;
}

/** A task of an adapter. The name of the only one is empty. */
export interface NamedTask {
  readonly pooled: Omit<PooledTask, "name">;
}

/** A loaded adapter and who uses it: it goes when it was retired and nobody does. */
class Version<T> {
  readonly loaded: Loaded<T>;
  #users = 0;
  #isRetired = false;
  #isFreed = false;

  constructor(loaded: Loaded<T>) {
    this.loaded = loaded;
  }

  get isIdle(): boolean {
    return this.#users === 0;
  }

  get isFreed(): boolean {
    return this.#isFreed;
  }

  use(): () => void {
    this.#users++;
    let isDone = false;
    return () => {
      if (isDone) return;
      isDone = true;
      this.#users--;
      this.#freeIfDone();
    };
  }

  retire(): void {
    this.#isRetired = true;
    this.#freeIfDone();
  }

  #freeIfDone(): void {
    if (!this.#isRetired || this.#users > 0 || this.#isFreed) return;
    this.#isFreed = true;
    this.loaded[Symbol.dispose]();
  }
}

/** A name in the catalog. */
interface Entry<T> {
  source: AdapterSource;
  isPinned: boolean;
  version?: Version<T>;
  /** Of the last version, also where that is not in memory. */
  about?: Loaded<T>["about"] & { readonly tasks: readonly PooledTask[] };
  error?: Error;
  loading?: Promise<Version<T>>;
  /** Clock of its last use. */
  used: number;
}

/** A task in use, and how its use ends. */
export interface Lease<T> {
  readonly task: T;
  release(): void;
}

const namePattern = /^(?!.*\.\.)[\w.\-/]{1,256}$/;

/** Adapters by name: which are in memory, who uses them, and who goes first. */
export class Catalog<T extends NamedTask> {
  readonly #load: (adapter: SavedAdapter, signal?: AbortSignal) => Promise<Loaded<T>>;
  readonly #maxBytes: number;
  readonly #bytesHeld: () => number;
  readonly #entries = new Map<string, Entry<T>>();
  /** Ends of what changes a name, so that one change follows the other. */
  readonly #changes = new Map<string, Promise<unknown>>();
  #clock = 0;
  #isClosed = false;

  /** @param bytesHeld of all that is loaded, what several share counted once */
  constructor(
    load: (adapter: SavedAdapter, signal?: AbortSignal) => Promise<Loaded<T>>,
    { maxBytes = Number.POSITIVE_INFINITY, bytesHeld }: { maxBytes?: number; bytesHeld: () => number },
  ) {
    this.#load = load;
    this.#maxBytes = maxBytes;
    this.#bytesHeld = bytesHeld;
  }

  add(
    name: string,
    source: AdapterSource,
    { pinned = false, lazy = false, signal }: AddOptions & StopOptions,
  ): Promise<PooledAdapter> {
    if (!namePattern.test(name)) {
      throw new PtuningError(
        "OPTION_INVALID",
        `name: expected letters, digits and . _ - / (1 to 256 of them, no ..), got ${JSON.stringify(name)}.`,
      );
    }
    return this.#changing(name, async () => {
      this.#expectOpen();
      signal?.throwIfAborted();
      const known = this.#entries.get(name);
      if (lazy) {
        known?.version?.retire();
        this.#entries.set(name, { source, isPinned: pinned, used: this.#clock++ });
      } else {
        try {
          const version = await this.#open(name, source, signal);
          const entry: Entry<T> = { source, isPinned: pinned, used: this.#clock++ };
          this.#put(name, entry, version);
          this.#entries.set(name, entry);
          known?.version?.retire();
          this.#makeRoom();
        } catch (error) {
          if (!signal?.aborted) {
            if (known) known.error = error as Error;
            else this.#entries.set(name, { source, isPinned: pinned, used: 0, error: error as Error });
          }
          throw error;
        }
      }
      return this.get(name)!;
    });
  }

  remove(name: string): Promise<boolean> {
    return this.#changing(name, async () => {
      const entry = this.#entries.get(name);
      entry?.version?.retire();
      return this.#entries.delete(name);
    });
  }

  get(named: string): PooledAdapter | undefined {
    const [name, task] = split(named);
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const tasks = entry.about?.tasks ?? [];
    if (task !== undefined && entry.about && !tasks.some((one) => one.name === named)) return undefined;
    const { method, fingerprint, warnings = [] } = entry.about ?? {};
    return {
      name,
      state: entry.version ? "ready" : entry.error ? "failed" : "unloaded",
      tasks,
      ...(method !== undefined && { method }),
      ...(fingerprint !== undefined && { fingerprint }),
      bytes: entry.version?.loaded.bytes ?? 0,
      pinned: entry.isPinned,
      warnings,
      ...(entry.error && { error: entry.error }),
    };
  }

  list(): PooledAdapter[] {
    return [...this.#entries.keys()].sort().map((name) => this.get(name)!);
  }

  /**
   * A task of an adapter, kept until it is released; the adapter is read where it is not in memory.
   * @throws ADAPTER_UNKNOWN
   */
  async lease(named: string, signal?: AbortSignal): Promise<Lease<T>> {
    const [name, wanted] = split(named);
    for (;;) {
      this.#expectOpen();
      signal?.throwIfAborted();
      const entry = this.#entries.get(name);
      if (entry === undefined) throw this.#unknown(name);
      // One reads for all that wait; who gives up leaves the others their adapter.
      const version = entry.version ?? (await unlessAborted(this.#loading(name, entry), signal));
      if (version.isFreed) continue;
      entry.used = this.#clock++;
      const task = taskOf(version.loaded.tasks, name, wanted);
      const end = version.use();
      const release = (): void => {
        end();
        this.#makeRoom();
      };
      return { task, release };
    }
  }

  /** Ends all: nothing is added or answered any more. Waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled([
      ...this.#changes.values(),
      ...[...this.#entries.values()].map(({ loading }) => loading),
    ]);
    for (const { version } of this.#entries.values()) version?.retire();
    this.#entries.clear();
  }

  #expectOpen(): void {
    if (this.#isClosed) throw new PtuningError("ENGINE_FAILED", "pool: the pool was closed.");
  }

  /** One change of a name after the other. */
  #changing<R>(name: string, change: () => Promise<R>): Promise<R> {
    const before = this.#changes.get(name) ?? Promise.resolve();
    const now = before.then(change, change);
    const ended = now
      .catch(() => {})
      .then(() => {
        if (this.#changes.get(name) === ended) this.#changes.delete(name);
      });
    this.#changes.set(name, ended);
    return now;
  }

  #loading(name: string, entry: Entry<T>): Promise<Version<T>> {
    entry.loading ??= this.#open(name, entry.source).then(
      (version) => {
        delete entry.loading;
        if (this.#entries.get(name) === entry && !this.#isClosed) {
          this.#put(name, entry, version);
          this.#makeRoom(entry);
        } else version.retire();
        return version;
      },
      (error: unknown) => {
        delete entry.loading;
        entry.error = error as Error;
        throw error;
      },
    );
    return entry.loading;
  }

  async #open(name: string, source: AdapterSource, signal?: AbortSignal): Promise<Version<T>> {
    try {
      const adapter = await readAdapter(source);
      signal?.throwIfAborted();
      const loaded = await this.#load(adapter, signal);
      return new Version(loaded);
    } catch (error) {
      throw aboutAdapter(name, error);
    }
  }

  #put(name: string, entry: Entry<T>, version: Version<T>): void {
    const { tasks, about } = version.loaded;
    entry.version = version;
    delete entry.error;
    const nameOf = (task: string): string => (task === "" ? name : `${name}:${task}`);
    entry.about = {
      ...about,
      tasks: [...tasks].map(([task, { pooled }]) => ({ name: nameOf(task), ...pooled })),
    };
  }

  /** Frees who was used least recently until the budget holds; what is in use stays. @param but this one */
  #makeRoom(but?: Entry<T>): void {
    while (this.#bytesHeld() > this.#maxBytes) {
      let oldest: Entry<T> | undefined;
      for (const entry of this.#entries.values()) {
        const isFree = entry.version?.isIdle && !entry.isPinned && entry !== but;
        if (isFree && (oldest === undefined || entry.used < oldest.used)) oldest = entry;
      }
      if (oldest === undefined) return;
      oldest.version!.retire();
      delete oldest.version;
    }
  }

  #unknown(name: string): PtuningError {
    const near = closest(name, [...this.#entries.keys()]);
    return new PtuningError("ADAPTER_UNKNOWN", `adapter: expected one of the pool's, got "${name}".`, {
      hint: near ? `Did you mean "${near}"?` : "Add it to the pool first.",
    });
  }
}

/** Name of the adapter, and of its task where one is named. */
function split(named: string): readonly [name: string, task: string | undefined] {
  const at = named.indexOf(":");
  return at < 0 ? [named, undefined] : [named.slice(0, at), named.slice(at + 1)];
}

function taskOf<T>(tasks: ReadonlyMap<string, T>, name: string, wanted: string | undefined): T {
  const found = tasks.get(wanted ?? "");
  if (found !== undefined) return found;
  const names = [...tasks.keys()].map((task) => (task === "" ? name : `${name}:${task}`));
  throw new PtuningError(
    "ADAPTER_UNKNOWN",
    `adapter: expected ${names.length === 1 ? names[0] : `one of ${names.join(", ")}`}, got "${wanted === undefined ? name : `${name}:${wanted}`}".`,
  );
}

/** The error, with the name of the adapter in front. */
export function aboutAdapter(name: string, error: unknown): unknown {
  if (!(error instanceof PtuningError)) return error;
  const { code, message, hint } = error;
  return new PtuningError(code, `adapter "${name}": ${message.replace(/^adapter: /, "")}`, {
    ...(hint !== undefined && { hint }),
    cause: error,
  });
}

/** What a promise gives, or the signal's reason as soon as it is aborted. */
function unlessAborted<R>(promise: Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
