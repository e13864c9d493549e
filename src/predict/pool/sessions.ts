import type { TensorMap } from "../../core/index.ts";
import type { Engine, Session } from "../../engine/portable.ts";
import type { Graph } from "../../graph/index.ts";
import type { ParameterTable } from "./parameters.ts";

/** A compiled graph that adapters share. */
export interface SharedSession {
  run(feeds: TensorMap): Promise<TensorMap>;
  /** Gives it back; who comes next may find it still open. */
  release(): void;
}

interface Open {
  readonly session: Promise<Session>;
  users: number;
  /** Layout of the table that it was bound to. */
  bound: number;
}

/** Graphs that nobody uses and that stay compiled, for those who come back. */
const mostIdle = 8;

/** Sessions by what they compute: each is compiled when it is first asked for. */
export class SharedSessions implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #table: ParameterTable;
  /** The least recently used first. */
  readonly #open = new Map<string, Open>();
  readonly #closing = new Set<Promise<void>>();

  constructor(engine: Engine, table: ParameterTable) {
    this.#engine = engine;
    this.#table = table;
  }

  /** @param make called where there is no such session */
  async use(key: string, make: () => Graph, prepack: boolean): Promise<SharedSession> {
    let open = this.#open.get(key);
    if (open === undefined) {
      // Writing a graph may fail as compiling does.
      const session = Promise.resolve().then(() => this.#engine.compile(make(), { prepack }));
      open = { session, users: 0, bound: -1 };
    }
    const entry = open;
    this.#open.delete(key);
    this.#open.set(key, entry);
    entry.users++;
    const release = once(() => {
      entry.users--;
      this.#closeIdle();
    });
    try {
      const session = await entry.session;
      return { run: (feeds) => this.#run(entry, session, feeds), release };
    } catch (error) {
      if (this.#open.get(key) === entry) this.#open.delete(key);
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const entry of this.#open.values()) this.#close(entry);
    this.#open.clear();
    await Promise.all(this.#closing);
  }

  async #run(entry: Open, session: Session, feeds: TensorMap): Promise<TensorMap> {
    while (entry.bound !== this.#table.layout) {
      const { layout } = this.#table;
      await this.#table.bind(session);
      entry.bound = layout;
    }
    return session.run(feeds);
  }

  #closeIdle(): void {
    const idle = [...this.#open].filter(([, { users }]) => users === 0);
    for (const [key, entry] of idle.slice(0, Math.max(0, idle.length - mostIdle))) {
      this.#open.delete(key);
      this.#close(entry);
    }
  }

  #close({ session }: Open): void {
    const closed = session.then(
      (opened) => opened.release(),
      () => {},
    );
    this.#closing.add(closed);
    closed.catch(() => {}).finally(() => this.#closing.delete(closed));
  }
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}
