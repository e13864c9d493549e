import { PtuningError } from "../core/index.ts";
import type { PooledAdapter, PooledTask, PredictorPool } from "../predict/index.ts";

/** What a server asks of whoever fills its pool. */
export interface AdapterSupply {
  /** What is known of an adapter that the pool has not read yet, and of those that it was never given. */
  about(name: string): AdapterNotes | undefined;
  /** Names that the pool was never given, as they cannot be. */
  refused(): readonly string[];
  /**
   * Has the pool read an adapter that it has not read yet.
   * @throws ADAPTER_UNKNOWN, and what reading throws
   */
  ensure(name: string): Promise<void>;
  /**
   * Reads an adapter anew, in the place of what the pool has of that name.
   * @throws ADAPTER_UNKNOWN, ADAPTER_CONFLICT, and what reading throws
   */
  load(name: string): Promise<void>;
  /** Takes an adapter out of the pool. @throws ADAPTER_UNKNOWN, ADAPTER_CONFLICT */
  unload(name: string): Promise<void>;
}

/** What is known of an adapter without the pool. */
export interface AdapterNotes {
  readonly tasks: readonly PooledTask[];
  readonly method?: string;
  /** Why it cannot be served. */
  readonly reason?: string;
}

/** A supply of nothing: the pool is filled by whoever made it. */
export const noSupply: AdapterSupply = {
  about: () => undefined,
  refused: () => [],
  ensure: (name) => Promise.reject(unknownAdapter(name)),
  load: (name) => Promise.reject(unknownAdapter(name)),
  unload: (name) => Promise.reject(unknownAdapter(name)),
};

export function unknownAdapter(name: string): PtuningError {
  return new PtuningError("ADAPTER_UNKNOWN", `adapter: expected one of this server's, got "${cut(name)}".`, {
    hint: "GET /v1/models lists them.",
  });
}

function cut(name: string): string {
  return name.length > 80 ? `${name.slice(0, 79)}…` : name;
}

/** One task as callers see it. */
export interface ServedModel {
  /** `rte`, or `both:ner` where the adapter has several tasks. */
  readonly id: string;
  readonly adapter: PooledAdapter;
  /** Absent before the adapter was first read. */
  readonly task?: PooledTask;
  readonly state: PooledAdapter["state"];
  readonly method?: string;
  /** Why it cannot be served, or could not be replaced. */
  readonly reason?: string;
}

/** Every task of every adapter, in the order of their names, and whatever cannot be served, with the reason. */
export function servedModels(pool: PredictorPool, supply: AdapterSupply): ServedModel[] {
  const refused = supply.refused().map((name): ServedModel => {
    const adapter: PooledAdapter = {
      ...{ name, state: "failed", tasks: [], bytes: 0, pinned: false, warnings: [] },
    };
    return { id: name, adapter, state: "failed", ...reasonOf(supply.about(name)?.reason) };
  });
  const pooled = pool.list().flatMap((adapter) => modelsOf(adapter, supply));
  return [...pooled, ...refused].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The tasks of one adapter. */
function modelsOf(adapter: PooledAdapter, supply: AdapterSupply): ServedModel[] {
  const { name } = adapter;
  const notes = adapter.tasks.length === 0 ? supply.about(name) : undefined;
  const tasks = notes?.tasks ?? adapter.tasks;
  const reason = notes?.reason ?? adapter.error?.message;
  const method = adapter.method ?? notes?.method;
  const state = notes?.reason === undefined ? adapter.state : "failed";
  const shared = { adapter, state, ...(method !== undefined && { method }), ...reasonOf(reason) };
  if (tasks.length === 0) return [{ id: name, ...shared }];
  return tasks.map((task) => ({ id: task.name, task, ...shared }));
}

function reasonOf(reason: string | undefined): { readonly reason?: string } {
  return reason === undefined ? {} : { reason };
}
