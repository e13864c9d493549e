/**
 * The op suite, run once per engine: every op forward against PyTorch (tools/reference/make_ops.py), and every
 * gradient rule against central differences in the float64 reference engine.
 */
import { gradients } from "ptuning/internal/autodiff";
import { isFloat, Rng, type Tensor, type TensorMap } from "ptuning/internal/core";
import { type Graph, GraphBuilder, type OpName, ops, type Value } from "ptuning/internal/graph";
import { afterAll, describe, expect, test } from "vitest";
import { closeEngines, type TestedEngine, testedEngines } from "../support/engines.ts";
import { hostTensor, type OpCase, readGolden, relativeError } from "../support/golden.ts";

const { cases } = readGolden<{ cases: OpCase[] }>("ops.json");
const [{ engine: reference }, ...others] = testedEngines as [TestedEngine, ...TestedEngine[]];
afterAll(closeEngines);

interface Built {
  readonly b: GraphBuilder;
  readonly outputs: Value[];
  readonly floats: Value[];
  readonly feeds: Record<string, Tensor>;
}

/** One node: integers are constants, as shapes and indices are in practice; everything else is fed. */
function build({ op, attributes, inputs, outputs }: OpCase): Built {
  const b = new GraphBuilder("case");
  const feeds: Record<string, Tensor> = {};
  const floats: Value[] = [];
  const values = inputs.map((golden, i) => {
    if (golden === null) return undefined;
    const tensor = hostTensor(golden);
    if ((golden.dtype === "int64" && op !== "Cast") || golden.dtype === "int8")
      return b.initializer(`x${i}`, tensor);
    feeds[`x${i}`] = tensor;
    const value = b.input(`x${i}`, golden.dtype, golden.shape);
    if (isFloat(golden.dtype)) floats.push(value);
    return value;
  });
  const results = b.ops(op as "Gelu", outputs.length, values, attributes as { approximate: "none" });
  for (const [i, result] of results.entries()) b.output(`y${i}`, result);
  return { b, outputs: results, floats, feeds };
}

test("every op of the table has a case", () => {
  const tested = new Set(cases.map(({ op }) => op));
  expect(Object.keys(ops).filter((op) => !tested.has(op))).toEqual([]);
});

describe.each(testedEngines)("$name", ({ engine, tolerance }) => {
  test.each(cases)("$op $name forward", async (golden) => {
    const { b, feeds } = build(golden);
    const session = await engine.compile(b.build());
    const results = await session.run(feeds);
    for (const [i, expected] of golden.outputs.entries()) {
      const actual = results[`y${i}`]!;
      expect(actual.shape).toEqual(expected.shape);
      expect(relativeError(actual.data, expected.data)).toBeLessThan(tolerance);
    }
    await session.release();
  });
});

/** Σ wᵢ · yᵢ over the first output, or over all of them for Split. */
function withLoss(golden: OpCase): { graph: Graph; feeds: TensorMap; names: string[] } {
  const { b, outputs, floats, feeds } = build(golden);
  const rng = new Rng(7, golden.op, golden.name);
  const scored = golden.op === "Split" ? outputs : outputs.slice(0, 1);
  const terms = scored.map((output, i) => {
    const shape = output.shape as number[];
    const data = Float32Array.from({ length: shape.reduce((a, c) => a * c, 1) }, () => rng.normal());
    const weighted = b.op("Mul", [output, b.initializer(`w${i}`, { dtype: "float32", shape, data })]);
    return b.op("ReduceSum", [weighted], { keepdims: 0 });
  });
  const loss = terms.reduce((a, c) => b.op("Add", [a, c]));
  b.output("loss", loss);
  for (const [i, grad] of gradients(b, loss, floats).entries()) b.output(`grad ${floats[i]!.name}`, grad);
  return { graph: b.build(), feeds, names: floats.map(({ name }) => name) };
}

const withoutGradient: readonly OpName[] = [
  ...(["Shape", "Abs", "ReduceMax"] as const),
  ...(["QuantizeLinear", "DequantizeLinear", "MatMulInteger", "MatMulIntegerToFloat"] as const),
  ...(["DynamicQuantizeLinear", "DynamicQuantizeMatMul"] as const),
  "MatMulNBits",
];
const differentiable = cases.filter(
  ({ op, outputs, inputs }) =>
    !withoutGradient.includes(op as OpName) &&
    isFloat(outputs[0]!.dtype) &&
    inputs.some((input) => input && isFloat(input.dtype)) &&
    // Differences of a softmax over logits in the hundreds are rounding noise.
    !(op === "Softmax" && inputs[0]!.data.some((x) => Math.abs(x) > 50)),
);

describe("gradients", () => {
  test.each(differentiable)("$op $name", async (golden) => {
    const { graph, feeds, names } = withLoss(golden);
    const session = await reference.compile(graph);
    const exact = await session.run(feeds);
    for (const name of names) {
      const step = 1e-5;
      const source = feeds[name]!;
      const data = Float64Array.from(source.data as Float32Array);
      const numeric: number[] = [];
      for (let i = 0; i < data.length; i++) {
        const at = async (delta: number): Promise<number> => {
          const moved = data.slice();
          moved[i]! += delta;
          const { loss } = await session.run({
            ...feeds,
            [name]: { dtype: "float64", shape: source.shape, data: moved },
          });
          return Number(loss!.data[0]);
        };
        numeric.push(((await at(step)) - (await at(-step))) / (2 * step));
      }
      const actual = exact[`grad ${name}`]!;
      expect(actual.shape).toEqual(source.shape);
      expect(relativeError(actual.data, numeric)).toBeLessThan(1e-7);
    }
    for (const { engine, tolerance } of others) {
      await using native = await engine.compile(graph);
      const results = await native.run(feeds);
      for (const name of names) {
        const error = relativeError(results[`grad ${name}`]!.data, exact[`grad ${name}`]!.data);
        expect(error, engine.name).toBeLessThan(10 * tolerance);
      }
    }
  });
});
