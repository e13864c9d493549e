import type { Dim, DType, TensorSource } from "../core/index.ts";
import type { OpAttributes, OpName } from "./table.ts";

/** What is known about a value before anything runs. */
export interface ValueType {
  readonly dtype: DType;
  /** One dim per axis; `[]` is a scalar. */
  readonly shape: readonly Dim[];
  /** The contents of a short integer vector where they are known: shapes, axes and bounds. */
  readonly elements?: readonly Dim[];
}

/** One tensor of a graph, identified by the object itself; its name is unique within the graph. */
export interface Value extends ValueType {
  readonly name: string;
}

/** One application of an op. Optional inputs that are left out are `undefined`. */
export interface Node<O extends OpName = OpName> {
  readonly op: O;
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: OpAttributes[O];
}

/**
 * A computation: nodes in an order in which every value is defined before it is used. Frozen tensors are
 * initializers; trainable tensors and the batch are inputs.
 */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  /** Output name → value. */
  readonly outputs: ReadonlyMap<string, Value>;
  readonly nodes: readonly Node[];
  readonly initializers: ReadonlyMap<Value, TensorSource>;
}
