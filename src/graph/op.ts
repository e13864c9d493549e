import { type Dim, type DType, PtuningError } from "../core/index.ts";
import type { Value, ValueType } from "./graph.ts";
import type { NdArray } from "./ndarray.ts";

/** How an attribute is stored in ONNX. */
export type AttributeKind = "int" | "ints" | "float" | "string" | "dtype";

/** Facts about the node whose outputs are being inferred. */
export interface InferContext<A> {
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: A;
  readonly outputCount: number;
  /** Name of the node; unknown lengths are named after it. */
  readonly name: string;
}

/** What a reference kernel gets: float64 inputs, and the dtypes of the graph's values. */
interface KernelContext<A> {
  readonly inputs: readonly (NdArray | undefined)[];
  readonly inputTypes: readonly (DType | undefined)[];
  readonly attributes: A;
  readonly outputCount: number;
}

/** Everything the package knows about one op, except its gradient (autodiff/) and its wire form (onnx/). */
export interface OpSpec<A> {
  /** `""` is ONNX itself, `"com.microsoft"` ONNX Runtime's own ops. */
  readonly domain: "" | "com.microsoft";
  readonly attributes: { readonly [K in keyof A]-?: AttributeKind };
  /** Least and greatest number of inputs. */
  readonly arity: readonly [number, number];
  /** Types of the outputs, from those of the inputs. Throws {@link GraphError} through the `fail` helpers. */
  infer(context: InferContext<A>): readonly ValueType[];
  /** The definition of the op in float64. */
  reference(context: KernelContext<A>): readonly NdArray[];
}

/** No attributes. */
export type NoAttributes = Record<never, never>;

/** Throws GRAPH_INVALID; shape inference and the verifier speak through this. */
export function failGraph(where: string, message: string): never {
  throw new PtuningError("GRAPH_INVALID", `${where}: ${message}`);
}

/** The input at `index`, which the op requires. */
export function required<T>(inputs: readonly (T | undefined)[], index: number, where = "op"): T {
  return inputs[index] ?? failGraph(where, `expected an input at position ${index}, got none.`);
}

/** Text of a shape for messages. */
export function shapeText(shape: readonly Dim[]): string {
  return `[${shape.join(", ")}]`;
}

/** `axis` counted from the front. */
export function axisFromFront(axis: number, rank: number, where: string): number {
  const normalized = axis < 0 ? axis + rank : axis;
  if (normalized < 0 || normalized >= rank) {
    failGraph(where, `expected an axis within rank ${rank}, got ${axis}.`);
  }
  return normalized;
}

/** Broadcasts shapes as numpy does; named dims must be equal or meet a 1. */
export function broadcastShapes(where: string, ...shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      if (dim === 1 || dim === result) continue;
      if (result !== 1) failGraph(where, `cannot broadcast ${shapes.map(shapeText).join(" with ")}.`);
      result = dim;
    }
    return result;
  });
}

/** Known contents of an integer input, each a plain number. */
export function knownIntegers(value: Value, where: string): number[] {
  const { elements } = value;
  if (elements === undefined || elements.some((element) => typeof element !== "number")) {
    failGraph(where, `expected "${value.name}" to be a known list of integers.`);
  }
  return elements as number[];
}
