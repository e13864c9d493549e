/** Graphs in the ops that an engine has: what stands for the others computes the same. */

import { type Engine, limitedEngine, nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { floats, Rng, type Tensor, type TensorMap } from "ptuning/internal/core";
import {
  everyOp,
  type Graph,
  GraphBuilder,
  lower,
  type OpName,
  ops,
  parts as partsOfOps,
  simplify,
  standardOps,
} from "ptuning/internal/graph";
import { deepPrompt } from "ptuning/internal/methods";
import { inferenceGraph, initializeParams, lossScaleInput, trainingGraph } from "ptuning/internal/model";
import { dropoutBanks, dropoutOffsets, type FormName } from "ptuning/internal/nn";
import { decodeModel, encodeModel } from "ptuning/internal/onnx";
import { sequenceClassification } from "ptuning/tasks";
import { afterAll, describe, expect, test } from "vitest";
import { architectures, batch, feeds, length } from "../support/architectures.ts";
import { closeEngines, noGpu } from "../support/engines.ts";
import {
  goldenPath,
  hostTensor,
  type OpCase,
  perTensorError,
  readGolden,
  relativeError,
} from "../support/golden.ts";
import { tinyBackbone } from "../support/tiny.ts";

const [reference, native] = [referenceEngine(), nodeEngine({ threads: 1 })];
afterAll(() => Promise.all([native.close(), closeEngines()]));
const { cases } = readGolden<{ cases: OpCase[] }>("ops.json");

const opsOf = ({ nodes }: Graph): OpName[] => [...new Set(nodes.map(({ op }) => op))];

test("what the runtime has of its own has parts, and none comes back to itself", () => {
  const own = (Object.keys(ops) as OpName[]).filter((op) => ops[op].domain !== "");
  expect(own.filter((op) => !(op in partsOfOps))).toEqual([]);
  expect(own.length).toBeGreaterThan(3);
  for (const op of Object.keys(partsOfOps) as OpName[]) {
    const { [op]: _, ...others } = everyOp;
    const golden = cases.find((one) => one.op === op && one.outputs.length > 0)!;
    expect(opsOf(lower(graphOf(golden), others))).not.toContain(op);
  }
});

test("a graph in ops that are there comes back as it is", () => {
  const graph = graphOf(cases.find(({ op }) => op === "FusedMatMul")!);
  expect(lower(graph, everyOp)).toBe(graph);
});

test("an op without parts is refused by name", async () => {
  const { Gelu: _, ...others } = everyOp;
  const engine = limitedEngine(reference, { ops: others });
  await expect(engine.compile(graphOf(cases.find(({ op }) => op === "Gelu")!))).rejects.toMatchObject({
    code: "GRAPH_INVALID",
    message: expect.stringMatching(/Gelu: the engine does not run Gelu/),
  });
});

test.each([
  ["LogSoftmax", (({ LogSoftmax: _, ...others }) => others)(everyOp)],
  ["Split", { ...everyOp, Split: { outputs: 1 } }],
] as const)("%s in parts is the op, with its limits", async (op, limited) => {
  const own = cases.filter((golden) => golden.op === op);
  expect(own.length).toBeGreaterThan(1);
  for (const golden of own) {
    expect(opsOf(simplify(graphOf(golden), limited))).not.toContain(op);
    for (const [engine, tolerance] of [
      [reference, 1e-12],
      [native, 1e-5],
    ] as const) {
      await using session = await limitedEngine(engine, { ops: limited }).compile(graphOf(golden));
      const found = await session.run(feedsOf(golden));
      for (const [i, expected] of golden.outputs.entries())
        expect(relativeError(found[`y${i}`]!.data, expected.data)).toBeLessThan(tolerance);
    }
  }
});

test("a limit that is kept leaves the op", () => {
  const golden = cases.find(({ op }) => op === "Split")!;
  const limited = { ...everyOp, Split: { outputs: golden.outputs.length } };
  expect(opsOf(simplify(graphOf(golden), limited))).toContain("Split");
});

function feedsOf({ op, inputs }: OpCase): TensorMap {
  const fed = inputs
    .map((input, i) => [`x${i}`, input] as const)
    .filter(([, input]) => input && isFed(op, input.dtype));
  return Object.fromEntries(fed.map(([name, input]) => [name, hostTensor(input!)]));
}

const isFed = (op: string, dtype: string): boolean =>
  !(dtype === "int64" && op !== "Cast") && dtype !== "int8";

/** One node; shapes, indices and int8 weights are constants. */
function graphOf({ op, attributes, inputs, outputs }: OpCase): Graph {
  const b = new GraphBuilder("case");
  const values = inputs.map((input, i) => {
    if (input === null) return undefined;
    if (isFed(op, input.dtype)) return b.input(`x${i}`, input.dtype, input.shape);
    return b.initializer(`x${i}`, hostTensor(input));
  });
  const results = b.ops(op as "Gelu", outputs.length, values, attributes as { approximate: "none" });
  for (const [i, result] of results.entries()) b.output(`y${i}`, result);
  return b.build();
}

test("integers of a quantised product are those that ONNX defines, to the bit", async () => {
  const [rows, inner, columns] = [7, 384, 20];
  const rng = new Rng(3);
  const x = Float32Array.from({ length: rows * inner }, () => rng.normal());
  const weight = Int8Array.from({ length: inner * columns }, () => rng.integer(255) - 127);
  const b = new GraphBuilder("test");
  const scales = b.initializer("scales", floats([columns], new Float32Array(columns).fill(0.01)));
  const right = b.initializer("weight", { dtype: "int8", shape: [inner, columns], data: weight });
  b.output("y", b.op("DynamicQuantizeMatMul", [b.input("x", "float32", [rows, inner]), right, scales]));
  const lowered = simplify(b.build(), standardOps);
  const inside = lowered.nodes.filter(({ op }) => op === "DynamicQuantizeLinear" || op === "MatMulInteger");
  const shown = inside.flatMap(({ outputs }) => outputs);
  const outputs = new Map([...lowered.outputs, ...shown.map((value, i) => [`${i}`, value] as const)]);
  // ONNX, DynamicQuantizeLinear: in float32, halves to even.
  const f = Math.fround;
  const [low, high] = [Math.min(0, ...x), Math.max(0, ...x)];
  const step = f(f(high - low) / 255);
  const even = (value: number): number => {
    const down = Math.floor(value);
    return value - down === 0.5 ? down + (down % 2) : Math.round(value);
  };
  const zero = even(f(-low / step));
  const codes = Array.from(x, (value) => Math.min(255, Math.max(0, even(f(value / step)) + zero)));
  const sums = Array.from({ length: rows * columns }, (_, k) => {
    const [row, column] = [Math.floor(k / columns), k % columns];
    let sum = 0;
    for (let i = 0; i < inner; i++) sum += (codes[row * inner + i]! - zero) * weight[i * columns + column]!;
    return sum;
  });
  await using session = await native.compile({ ...lowered, outputs });
  const found = await session.run({ x: floats([rows, inner], x) });
  const { bits } = native.facts.int8;
  expect([...found[0]!.data]).toEqual(codes);
  expect(Number(found[1]!.data[0])).toBe(step);
  expect(Number(found[2]!.data[0])).toBe(zero);
  // Elsewhere full 8 bits overflow.
  if (bits === 8) expect([...found[3]!.data]).toEqual(sums);
});

/** Prediction and a training step with dropout of a tiny checkpoint, each with what it is fed. */
async function passes(backbone: Backbone): Promise<readonly (readonly [Graph, TensorMap])[]> {
  const task = sequenceClassification({ labels: ["a", "b"] });
  const method = deepPrompt({ promptLength: 3, initScale: 0.5 });
  const parts = { backbone, method, head: task.head };
  const params = await initializeParams(parts, new Rng(1));
  const labels = Int32Array.of(0, 1, 1);
  const encoded = { count: batch, sequences: undefined as never, labels, examples: [] };
  const { graph, dropout } = trainingGraph(parts, task, params, { hidden: 0.1, attention: 0.1 });
  const sizes = { B: batch, S: length };
  const rng = new Rng(2);
  const stepFeeds = {
    ...feeds,
    ...task.targets(encoded, { rows: Int32Array.of(0, 1, 2), length }),
    ...dropoutBanks(dropout, sizes, rng),
    ...dropoutOffsets(dropout, sizes, sizes, rng),
    [lossScaleInput]: floats([], [1 / batch]),
    ...params,
  };
  return [
    [inferenceGraph(parts, params), { ...feeds, ...params }],
    [graph, stepFeeds],
  ];
}

/** Greatest relative difference of any output between two engines. */
async function difference(found: Engine, wanted: Engine, graph: Graph, given: TensorMap): Promise<number> {
  const [own, expected] = [await run(found, graph, given), await run(wanted, graph, given)];
  expect(Object.keys(own)).toEqual(Object.keys(expected));
  return Math.max(
    ...Object.entries(expected).map(([name, tensor]) => perTensorError(own[name]!, tensor, 1e-3)),
  );
}

/** Every pass of the backbone, with its linear layers in this form, is the same in ONNX's own ops. */
async function expectPlainIsEqual(given: Backbone, precision: FormName): Promise<void> {
  const backbone = await withPrecision(given, precision);
  expect(backbone.precision).toBe(precision);
  for (const [graph, fed] of await passes(backbone)) {
    const model = encodeModel(simplify(graph, standardOps));
    expect(Buffer.from(model).includes("com.microsoft")).toBe(false);
    expect(opsOf(decodeModel(model)).filter((op) => !(op in standardOps))).toEqual([]);
    const plain = limitedEngine(native, { ops: standardOps });
    expect(await difference(plain, native, graph, fed)).toBeLessThan(1e-6);
    // ONNX Runtime may put parts together again; in the reference engine they stay apart.
    if (precision === "int8") continue;
    const exact = limitedEngine(reference, { ops: standardOps });
    expect(await difference(exact, reference, graph, fed)).toBeLessThan(1e-12);
  }
}

describe.each(architectures)("%s in ONNX's own ops", (architecture) => {
  test.each(["fp32", "int8"] as const)("predicts and learns the same: %s", async (precision) => {
    await expectPlainIsEqual(await loadBackbone(goldenPath(architecture), { engine: native }), precision);
  });
});

// The tiny checkpoints of the architectures have no whole blocks.
test("layers in 4 bits predict and learn the same", async () => {
  await expectPlainIsEqual(await tinyBackbone(native), "int4");
});

test.for(["bert", "modernbert"])(
  "%s predicts and learns the same by WebGPU",
  async (architecture, { skip }) => {
    skip(noGpu !== undefined, noGpu);
    const gpu = nodeEngine({ device: "webgpu" });
    const backbone = await loadBackbone(goldenPath(architecture), { engine: native });
    for (const [graph, given] of await passes(backbone))
      expect(await difference(gpu, native, graph, given)).toBeLessThan(3e-6);
    await gpu.close();
  },
);

async function run(engine: Engine, graph: Graph, given: TensorMap): Promise<Record<string, Tensor>> {
  await using session = await engine.compile(graph);
  return session.run(given);
}
