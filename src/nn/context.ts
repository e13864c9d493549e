import type { GraphBuilder, Value } from "../graph/index.ts";
import type { Dropout } from "./dropout.ts";

/** What a layer needs to write itself into a graph. */
export interface LayerContext {
  readonly b: GraphBuilder;
  /**
   * The weight of this checkpoint name: frozen, or the trainable tensor that replaces it.
   * @throws BACKBONE_INVALID if the checkpoint lacks it or its shape is another
   */
  weight(name: string, shape: readonly number[]): Value;
  /** Whether the checkpoint has a weight of this name. */
  hasWeight(name: string): boolean;
  /** Whether a weight of the checkpoint stays as it is. */
  isFrozen(name: string): boolean;
  /** Whether the gradients of frozen linear layers are so coarse that cheaper forms of others may go with them. */
  readonly coarseGradients?: boolean;
  /** Whether int8 products scale the rows of gradients one by one. */
  readonly unevenGradients?: boolean;
  /** Absent in evaluation: then nothing is dropped. */
  readonly dropout: Dropout | undefined;
  /**
   * Whether the numbers of an example may not depend, to the bit, on the examples beside it: in evaluation and prediction.
   * Training takes cheaper forms.
   */
  readonly batchInvariant: boolean;
  /** What a method makes of the output y of a frozen linear layer with input x; absent where it leaves all as they are. */
  readonly adaptLinear?: (name: string, x: Value, y: Value) => Value;
  /**
   * Told the states of the rows that the head reads, `[N, E]`: behind the embeddings, then behind each layer; absent where
   * nobody asks.
   */
  readonly onStates?: (states: Value) => void;
  /** Told the keys and values of the text, `[S, B, H, D]` each, layer by layer; absent where nobody asks. */
  readonly onKeysAndValues?: (key: Value, value: Value) => void;
}
