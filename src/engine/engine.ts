import type { TensorMap } from "../core/index.ts";
import type { Graph, OpSupport } from "../graph/index.ts";

/** What graphs and weights are chosen by. */
export interface EngineFacts {
  /** What computes. */
  readonly device: Device;
  /**
   * Ops that run as they are. Graphs are written with the whole table, and what is not here becomes its parts before it
   * runs (`lower` of the graph folder).
   */
  readonly ops: OpSupport;
  readonly int8: Int8Facts;
}

/** What may compute. */
export type Device = "cpu" | "webgpu";

/** How 8-bit integers are multiplied. */
export interface Int8Facts {
  /** Bits of weights at most whose products with uint8 do not overflow. */
  readonly bits: 7 | 8;
  /** Whether that is so much faster than floats that precision `auto` takes it. */
  readonly isFast: boolean;
}

/** How a graph is prepared for running. */
export interface CompileOptions {
  /**
   * Rearranges frozen weights for speed at the price of a second copy in memory; without it the weights stay
   * mapped from the checkpoint. Worth it for long runs. Default false.
   */
  readonly prepack?: boolean;
}

/** Named tensors that the engine holds: too large to travel with every run. */
export interface Held extends AsyncDisposable {
  /**
   * Copies of all, or of those that are named.
   * @throws ENGINE_FAILED if they were released, or there is none of a name
   */
  read(names?: readonly string[]): Promise<TensorMap>;
  /**
   * Overwrites numbers of a float32 tensor. Sessions that it is bound to read them from their next run on.
   * @param offset of the first, in numbers
   * @param data goes over to the engine
   * @throws ENGINE_FAILED if they do not fit in, or there is none of the name
   */
  write(name: string, offset: number, data: Float32Array): Promise<void>;
  /**
   * Makes a float32 tensor longer, by zeros. Sessions that it is bound to must bind it again.
   * @param length of its first axis
   * @throws ENGINE_FAILED if there is no such memory, or none of the name
   */
  grow(name: string, length: number): Promise<void>;
  /** Gives back their memory; a second call does nothing. */
  release(): Promise<void>;
}

/** Whether feeds are a set that an engine holds, of whichever engine. */
export function isHeld(feeds: TensorMap | Held): feeds is Held {
  return typeof feeds.read === "function";
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

/** One compiled graph. Its calls fail with ENGINE_FAILED once it is released, or what it ran on has ended. */
export interface Session extends AsyncDisposable {
  /**
   * Feeds inputs of every later run, until they are bound again or fed with a run. Tensors that the graph has no input
   * for are left out.
   * @throws ENGINE_FAILED if another engine holds them
   */
  bind(feeds: TensorMap | Held): Promise<void>;
  /**
   * Runs the whole graph.
   * @param feeds one tensor per graph input that is not bound
   * @returns one tensor per graph output, except those that are kept
   * @throws ENGINE_FAILED if the runtime refuses the feeds, or another engine holds what is to be kept in
   */
  run(feeds: TensorMap, keep?: Keep): Promise<TensorMap>;
  /**
   * Runs an elementwise graph over held tensors, in slices that fit a cache, and overwrites tensors in place. Safe
   * only where each vector that is overwritten is read before its output is complete, as data dependencies say.
   * @returns the scalar outputs that rewrite nothing, each summed over all slices
   */
  sweep(sweep: Sweep): Promise<Readonly<Record<string, number>>>;
  /** Gives back the session's memory; a second call does nothing, nor does one after what it ran on has ended. */
  release(): Promise<void>;
}

/**
 * Something that runs graphs. Calls never block the program's event loop for long. Where the thread behind it dies, all
 * that waits fails with the cause, and so does every later call on sessions and held tensors of that thread; new ones
 * start another.
 */
export interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly facts: EngineFacts;
  /**
   * @throws ENGINE_FAILED if the runtime refuses the graph, or the engine was closed; GRAPH_INVALID if it holds an op that
   * the engine lacks and that has no parts
   */
  compile(graph: Graph, options?: CompileOptions): Promise<Session>;
  /** Takes tensors over: their memory may become the engine's own. */
  hold(tensors: TensorMap): Promise<Held>;
  /** Waits for what is running and frees everything, for good: calls after it fail. A second call waits for the first. */
  close(): Promise<void>;
}
