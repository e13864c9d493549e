import type { TensorMap } from "../core/index.ts";
import type { Graph } from "../graph/index.ts";

/** How a graph is prepared for running. */
export interface CompileOptions {
  /**
   * Rearranges frozen weights for speed at the price of a second copy in memory; without it the weights stay
   * mapped from the checkpoint. Worth it for long runs. Default false.
   */
  readonly prepack?: boolean;
}

/** Named tensors that the engine holds: too large to travel with every run. */
export interface Held {
  /** Copies of all. */
  read(): Promise<TensorMap>;
  release(): Promise<void>;
}

/** Outputs of a run that stay with the engine, and under which names. */
export interface Keep {
  readonly held: Held;
  /** Graph output → name among the held tensors; what was there is replaced. */
  readonly names: Readonly<Record<string, string>>;
}

/** A pass over held vectors by an elementwise graph; see {@link Session.sweep}. */
export interface Sweep {
  /** Names of the tensors that are visited, the same in every set. */
  readonly names: readonly string[];
  /** Graph input of one axis → the set whose tensors it reads, as flat vectors. */
  readonly vectors: Readonly<Record<string, Held>>;
  /** Graph output → graph input whose tensors it overwrites. */
  readonly rewrites: Readonly<Record<string, string>>;
  /** All other inputs. */
  readonly feeds: TensorMap;
}

/** One compiled graph. */
export interface Session {
  /**
   * Feeds inputs of every later run, until they are bound again or fed with a run. Tensors that the graph has no input
   * for are left out.
   */
  bind(feeds: TensorMap | Held): Promise<void>;
  /**
   * Runs the whole graph.
   * @param feeds one tensor per graph input that is not bound
   * @returns one tensor per graph output, except those that are kept
   * @throws ENGINE_FAILED if the runtime refuses the feeds
   */
  run(feeds: TensorMap, keep?: Keep): Promise<TensorMap>;
  /**
   * Runs an elementwise graph over held tensors, in slices that fit a cache, and overwrites tensors in place. Safe
   * only where each vector that is overwritten is read before its output is complete, as data dependencies say.
   * @returns the scalar outputs that rewrite nothing, each summed over all slices
   */
  sweep(sweep: Sweep): Promise<Readonly<Record<string, number>>>;
  /** Gives back the session's memory. */
  release(): Promise<void>;
}

/** Something that runs graphs. Calls never block the program's event loop for long. */
export interface Engine {
  readonly name: string;
  /** @throws ENGINE_FAILED if the runtime refuses the graph */
  compile(graph: Graph, options?: CompileOptions): Promise<Session>;
  /** Takes tensors over: their memory may become the engine's own. */
  hold(tensors: TensorMap): Promise<Held>;
  /** Waits for what is running and frees everything. */
  close(): Promise<void>;
}
