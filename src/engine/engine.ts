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

/** One compiled graph. */
export interface Session {
  /** Feeds inputs of every later run, until they are bound again or fed with a run. */
  bind(feeds: TensorMap): Promise<void>;
  /**
   * Runs the whole graph.
   * @param feeds one tensor per graph input that is not bound
   * @returns one tensor per graph output
   * @throws ENGINE_FAILED if the runtime refuses the feeds
   */
  run(feeds: TensorMap): Promise<TensorMap>;
  /** Gives back the session's memory. */
  release(): Promise<void>;
}

/** Something that runs graphs. Calls never block the program's event loop for long. */
export interface Engine {
  readonly name: string;
  /** @throws ENGINE_FAILED if the runtime refuses the graph */
  compile(graph: Graph, options?: CompileOptions): Promise<Session>;
  /** Waits for what is running and frees everything. */
  close(): Promise<void>;
}
