import {
  type Dim,
  type DType,
  dimNames,
  divideDims,
  elementCount,
  floats,
  int64s,
  isExternal,
  productOfDims,
  type TensorSource,
} from "../core/index.ts";
import type { Graph, Node, Value, ValueType } from "./graph.ts";
import { failGraph } from "./op.ts";
import { type OpAttributes, type OpName, ops, specOf } from "./table.ts";

/** Ops whose attributes may be left out. */
type Plain = { [O in OpName]: Record<never, never> extends OpAttributes[O] ? O : never }[OpName];
type AttributesArgument<O extends OpName> = O extends Plain
  ? [attributes?: OpAttributes[O]]
  : [attributes: OpAttributes[O]];

/**
 * Initializers of at most this many integers carry their contents into shape inference: lengths of the parts of a prompt
 * are two for each layer.
 */
const maxTrackedElements = 4096;

/** Nodes `start … end − 1` of a builder. */
export interface NodeRange {
  readonly start: number;
  readonly end: number;
}

/** A stretch of nodes with a gradient of its own. */
export interface GradientRegion extends NodeRange {
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Values that are made on the way and read by the gradient. */
  readonly saved: readonly Value[];
  readonly gradient: RegionGradient;
}

/**
 * Gradients of a region's inputs from that of its output; those that are not needed may be left out. It reads
 * the region's values as they are handed over, never those that `build` saw: where activations are computed
 * again, they are other ones.
 */
export type RegionGradient = (
  grad: Value,
  needs: readonly boolean[],
  values: Pick<GradientRegion, "inputs" | "output" | "saved">,
) => readonly (Value | undefined)[];

/**
 * Writes a graph node by node. Values come back typed by shape inference, so a mistake is reported where it
 * is made.
 */
export class GraphBuilder {
  readonly #name: string;
  readonly #inputs: Value[] = [];
  readonly #outputs = new Map<string, Value>();
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<Value, TensorSource>();
  readonly #constants = new Map<string, Value>();
  readonly #names = new Map<string, number>();
  /** Where each named size can be read at run time: an input and the axis. */
  readonly #sizes = new Map<string, readonly [Value, number]>();
  readonly #regions: GradientRegion[] = [];
  readonly #checkpoints: NodeRange[] = [];
  #scope = "";

  constructor(name: string) {
    this.#name = name;
  }

  /** Names everything that `body` adds `scope/…`. */
  scope<T>(scope: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${scope}/`;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** A graph input: a batch tensor or a trainable tensor. */
  input(name: string, dtype: DType, shape: readonly Dim[]): Value {
    if (this.#names.has(name)) failGraph(name, "a value of this name exists already.");
    this.#names.set(name, 1);
    const value: Value = { name, dtype, shape };
    this.#inputs.push(value);
    for (const [axis, dim] of shape.entries()) {
      if (typeof dim === "string" && dimNames(dim)[0] === dim && !this.#sizes.has(dim)) {
        this.#sizes.set(dim, [value, axis]);
      }
    }
    return value;
  }

  /** A frozen tensor. */
  initializer(name: string, source: TensorSource): Value {
    const integers =
      !isExternal(source) && source.dtype === "int64" && elementCount(source.shape) <= maxTrackedElements
        ? Array.from(source.data as BigInt64Array, Number)
        : undefined;
    const value: Value = {
      name: this.#unique(name),
      dtype: source.dtype,
      shape: source.shape,
      ...(integers && { elements: integers }),
    };
    this.#initializers.set(value, source);
    return value;
  }

  /** A float32 constant: a scalar that broadcasts. Equal constants are one value. */
  scalar(value: number): Value {
    return this.#constant(`scalar:${value}`, `const ${value}`, () => ({
      ...floats([], [value]),
      exact: Float64Array.of(value),
    }));
  }

  /** A uint8 constant: a scalar. */
  byte(value: number): Value {
    return this.#constant(`byte:${value}`, `byte ${value}`, () => ({
      dtype: "uint8",
      shape: [],
      data: Uint8Array.of(value),
    }));
  }

  /** An int64 vector constant. */
  integers(values: readonly number[]): Value {
    return this.#constant(`ints:${values}`, `ints [${values}]`, () => int64s([values.length], values));
  }

  /** A tensor that several places read, under a name that says all of it; made once. */
  shared(name: string, make: () => TensorSource): Value {
    return this.#constant(`shared:${name}`, name, make);
  }

  #constant(key: string, name: string, make: () => TensorSource): Value {
    let value = this.#constants.get(key);
    if (value === undefined) {
      value = this.initializer(name, make());
      this.#constants.set(key, value);
    }
    return value;
  }

  /** Adds a node with one output. */
  op<O extends OpName>(
    op: O,
    inputs: readonly (Value | undefined)[],
    ...attributes: AttributesArgument<O>
  ): Value {
    return this.ops(op, 1, inputs, ...attributes)[0]!;
  }

  /** Adds a node with `count` outputs. */
  ops<O extends OpName>(
    op: O,
    count: number,
    inputs: readonly (Value | undefined)[],
    ...[attributes]: AttributesArgument<O>
  ): Value[] {
    return this.#add(op, op, count, inputs, (attributes ?? {}) as OpAttributes[O]);
  }

  #add(
    op: OpName,
    label: string,
    count: number,
    inputs: readonly (Value | undefined)[],
    attributes: OpAttributes[OpName],
  ): Value[] {
    const name = this.#unique(`${this.#scope}${label}`);
    const types = inferTypes({ op, inputs, attributes, outputCount: count, name });
    const outputs = types.map((type, i): Value => ({ name: i === 0 ? name : `${name}:${i}`, ...type }));
    this.#nodes.push({ op, name, inputs, outputs, attributes } as Node);
    return outputs;
  }

  /**
   * Writes what `build` writes, with a gradient that is given instead of derived: where the derivative of the
   * nodes is not the one that is wanted, or a cheaper form of it is known.
   */
  withGradient(
    inputs: readonly Value[],
    build: () => Value | readonly [output: Value, ...saved: Value[]],
    gradient: RegionGradient,
  ): Value {
    const start = this.#nodes.length;
    const built = build();
    const [output, ...saved] = "name" in built ? [built] : built;
    this.#regions.push({ start, end: this.#nodes.length, inputs, output, saved, gradient });
    return output;
  }

  /**
   * Writes what `build` writes, as a segment whose values may be computed again in the backward pass instead of
   * being kept until then; whether they are is for `gradients` to say.
   */
  checkpoint<T>(build: () => T): T {
    const start = this.#nodes.length;
    const result = build();
    this.#checkpoints.push({ start, end: this.#nodes.length });
    return result;
  }

  /**
   * `x`, not to be had before `trigger` is computed: a control edge. A reshape to the same shape plus a zero that
   * is summed from an empty slice of `trigger`: no copy, no pass over the data, and a different value than `x`,
   * so that nodes on top of it are not merged with equal ones on `x`.
   */
  after(x: Value, trigger: Value): Value {
    // A scalar has no length to add the zero to; nor is it worth waiting for.
    if (x.shape.length === 0) return x;
    return this.scope("after", () => {
      const nothing = this.slice(trigger, 0, 0, 0);
      const zero = this.op("Cast", [this.op("ReduceSum", [nothing], { keepdims: 0 })], { to: "int64" });
      const shape = this.dims(x.shape.map((dim) => (typeof dim === "number" ? dim : 0)));
      return this.op("Reshape", [x, this.op("Add", [shape, zero])]);
    });
  }

  /**
   * Writes a node again, on other inputs; it may be one of another graph.
   * @param replaced value → the one to use in its place; gets the node's outputs
   */
  copy({ op, name, inputs, outputs, attributes }: Node, replaced: Map<Value, Value>): void {
    const given = inputs.map((input) => input && (replaced.get(input) ?? input));
    const copies = this.#add(op, name, outputs.length, given, attributes);
    for (const [i, output] of outputs.entries()) replaced.set(output, copies[i]!);
  }

  /**
   * Writes the nodes of a range again, its gradient regions included, on other inputs.
   * @param replaced value → the one to use in its place; gets the copies of the range's own values
   * @returns the range of the copies
   */
  repeat({ start, end }: NodeRange, replaced: Map<Value, Value>): NodeRange {
    const shift = this.#nodes.length - start;
    const current = (value: Value): Value => replaced.get(value) ?? value;
    for (const node of this.#nodes.slice(start, end)) this.copy(node, replaced);
    for (const region of this.#regions.filter((inner) => inner.start >= start && inner.end <= end)) {
      this.#regions.push({
        start: region.start + shift,
        end: region.end + shift,
        inputs: region.inputs.map(current),
        output: current(region.output),
        saved: region.saved.map(current),
        gradient: region.gradient,
      });
    }
    return { start: start + shift, end: end + shift };
  }

  /** Marks a value as an output of the graph. */
  output(name: string, value: Value): void {
    this.#outputs.set(name, value);
  }

  /** An int64 vector that holds `dims` at run time. */
  dims(dims: readonly Dim[]): Value {
    if (dims.every((dim) => typeof dim === "number")) return this.integers(dims);
    const parts: Value[] = [];
    for (let i = 0; i < dims.length; ) {
      const run = dims.slice(i).findIndex((dim) => typeof dim === "string");
      if (run === 0) {
        parts.push(this.#size(dims[i]!));
        i += 1;
      } else {
        const numbers = dims.slice(i, run < 0 ? undefined : i + run) as number[];
        parts.push(this.integers(numbers));
        i += numbers.length;
      }
    }
    return parts.length === 1 ? parts[0]! : this.op("Concat", parts, { axis: 0 });
  }

  /** One length as an int64 vector of one element, computed from the shapes of the inputs. */
  #size(dim: Dim): Value {
    const sums = String(dim)
      .split(" + ")
      .map((term) =>
        term
          .split("*")
          .map((factor) => {
            if (/^-?\d+$/.test(factor)) return this.integers([Number(factor)]);
            const [source, axis] =
              this.#sizes.get(factor) ?? failGraph(factor, "no graph input has an axis of this name.");
            return this.op("Shape", [source], { start: axis, end: axis + 1 });
          })
          .reduce((a, b) => this.op("Mul", [a, b])),
      );
    return sums.reduce((a, b) => this.op("Add", [a, b]));
  }

  /** Reshapes to `shape`; lengths that the runtime can infer or copy are left to it. */
  reshape(x: Value, shape: readonly Dim[]): Value {
    // A length that only the runtime knows cannot tell another: then the target is spelt out.
    let inferred = x.shape.some((dim) => String(dim).includes("?"));
    const target = shape.map((dim, axis) => {
      if (typeof dim === "number") return dim;
      if (dim === x.shape[axis]) return 0;
      if (inferred) return dim;
      // Sums do not divide: then inference of shapes could not tell the length either.
      const others = productOfDims(shape.filter((_, other) => other !== axis));
      if (divideDims(productOfDims(x.shape), others) === undefined) return dim;
      inferred = true;
      return -1;
    });
    return this.op("Reshape", [x, this.dims(target)]);
  }

  /** Broadcasts to `shape`. */
  expand(x: Value, shape: readonly Dim[]): Value {
    const lead = shape.length - x.shape.length;
    const target = shape.map((dim, axis) => (axis >= lead && dim === x.shape[axis - lead] ? 1 : dim));
    return this.op("Expand", [x, this.dims(target)]);
  }

  /** Elements `start … end − 1` along `axis`. */
  slice(x: Value, axis: number, start: Dim, end: Dim): Value {
    return this.op("Slice", [x, this.dims([start]), this.dims([end]), this.integers([axis])]);
  }

  /** Sums over `axes`. */
  sum(x: Value, axes: readonly number[], keepdims: 0 | 1): Value {
    return this.op("ReduceSum", [x, this.integers(axes)], { keepdims });
  }

  /** The finished graph. */
  build(): Graph {
    return {
      name: this.#name,
      inputs: [...this.#inputs],
      outputs: new Map(this.#outputs),
      nodes: [...this.#nodes],
      initializers: new Map(this.#initializers),
    };
  }

  /** Regions with a gradient of their own. */
  get regions(): readonly GradientRegion[] {
    return this.#regions;
  }

  /** Segments that may be computed again. */
  get checkpoints(): readonly NodeRange[] {
    return this.#checkpoints;
  }

  /** Graph inputs added so far. */
  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  /** Nodes added so far; differentiation reads them. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  #unique(name: string): string {
    const seen = this.#names.get(name) ?? 0;
    this.#names.set(name, seen + 1);
    return seen === 0 ? name : this.#unique(`${name}_${seen}`);
  }
}

/** Runs an op's inference after checking what every op shares: arity and attribute names. */
export function inferTypes(node: {
  readonly op: OpName;
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: object;
  readonly outputCount: number;
}): readonly ValueType[] {
  const spec = specOf(node.op);
  const [least, most] = spec.arity;
  if (node.inputs.length < least || node.inputs.length > most) {
    const expected = least === most ? `${least}` : `${least} to ${most}`;
    failGraph(node.name, `expected ${expected} inputs, got ${node.inputs.length}.`);
  }
  for (const key of Object.keys(node.attributes)) {
    if (!(key in ops[node.op].attributes)) failGraph(node.name, `unknown attribute "${key}".`);
  }
  const types = spec.infer(node);
  if (types.length !== node.outputCount) {
    failGraph(node.name, `expected ${types.length} outputs, got ${node.outputCount}.`);
  }
  return types;
}
