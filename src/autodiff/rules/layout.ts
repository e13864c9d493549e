import { type Dim, subtractDims } from "../../core/index.ts";
import { failGraph, type GraphBuilder, type Value } from "../../graph/index.ts";
import type { Rule } from "../rule.ts";
import { unbroadcast } from "../rule.ts";

function inversePermutation(perm: readonly number[]): number[] {
  return perm.map((_, axis) => perm.indexOf(axis));
}

function zerosLike(b: GraphBuilder, value: Value): Value {
  return b.op("Expand", [b.scalar(0), b.dims(value.shape)]);
}

function elementsOf(value: Value, name: string): readonly Dim[] {
  return value.elements ?? failGraph(name, `the gradient needs to know the contents of "${value.name}".`);
}

export const Reshape: Rule<"Reshape"> = ({ b, inputs: [x], grad }) => [b.reshape(grad, x!.shape)];

export const Transpose: Rule<"Transpose"> = ({ b, attributes: { perm }, grad }) => [
  b.op("Transpose", [grad], { perm: inversePermutation(perm) }),
];

export const Expand: Rule<"Expand"> = ({ b, inputs: [x], grad }) => [unbroadcast(b, grad, x!.shape)];

export const Concat: Rule<"Concat"> = ({ b, inputs, attributes, grad }) => {
  const lengths = inputs.map(({ shape }) => shape.at(attributes.axis)!);
  return b.ops("Split", inputs.length, [grad, b.dims(lengths)], attributes);
};

export const Split: Rule<"Split"> = ({ b, outputs, attributes, grads }) => [
  b.op(
    "Concat",
    outputs.map((output, i) => grads[i] ?? zerosLike(b, output)),
    attributes,
  ),
];

export const Slice: Rule<"Slice"> = ({ b, name, inputs: [x, starts, ends, axes], outputs: [y], grad }) => {
  const before = x!.shape.map((): Dim => 0);
  const after = x!.shape.map((): Dim => 0);
  const bounds = elementsOf(ends!, name);
  for (const [i, start] of elementsOf(starts!, name).entries()) {
    const given = elementsOf(axes!, name)[i] as number;
    const axis = given < 0 ? given + x!.shape.length : given;
    const fromEnd = typeof start === "number" && start < 0;
    if (fromEnd && bounds[i] !== x!.shape[axis])
      failGraph(name, "the gradient needs starts that count from 0.");
    const cut = subtractDims(x!.shape[axis]!, y!.shape[axis]!);
    before[axis] = fromEnd ? cut : start;
    after[axis] = subtractDims(cut, before[axis]);
  }
  return [b.op("Pad", [grad, b.dims([...before, ...after])])];
};

export const Pad: Rule<"Pad"> = ({ b, name, inputs: [x, pads], grad }) => {
  const rank = x!.shape.length;
  let result = grad;
  for (const [axis, start] of elementsOf(pads!, name).slice(0, rank).entries()) {
    const length = x!.shape[axis]!;
    if (length === result.shape[axis]) continue;
    const end = subtractDims(start, subtractDims(0, length));
    result = b.slice(result, axis, start, end);
  }
  return [result];
};

/** Adds the rows of the gradient back to where they were read. */
export const Gather: Rule<"Gather"> = ({ b, inputs, attributes, grad }) => {
  const [x, indices] = inputs as [Value, Value];
  const axis = attributes.axis < 0 ? attributes.axis + x.shape.length : attributes.axis;
  const rank = indices.shape.length;
  const lead = [...x.shape.keys()];
  const toFront = [axis, ...lead.filter((i) => i !== axis)];
  const gradAxes = [...grad.shape.keys()];
  const picked = gradAxes.slice(axis, axis + rank);
  const gradToFront = [...picked, ...gradAxes.filter((i) => !picked.includes(i))];
  const front = toFront.map((i) => x.shape[i]!);
  const zeros = b.op("Expand", [b.scalar(0), b.dims(front)]);
  const rows = b.reshape(indices, [...indices.shape, 1]);
  const wide = indices.dtype === "int64" ? rows : b.op("Cast", [rows], { to: "int64" });
  const updates = axis === 0 ? grad : b.op("Transpose", [grad], { perm: gradToFront });
  const summed = b.op("ScatterND", [zeros, wide, updates], { reduction: "add" });
  return [axis === 0 ? summed : b.op("Transpose", [summed], { perm: inversePermutation(toFront) })];
};

export const ScatterND: Rule<"ScatterND"> = ({ b, inputs: [, indices], grad, needs }) => [
  grad,
  undefined,
  needs[2]
    ? b.op("Gather", [grad, b.reshape(indices!, indices!.shape.slice(0, -1))], { axis: 0 })
    : undefined,
];
