/** Writing, checking, printing and simplifying graphs; ModelProto and back. */

import { nodeEngine, referenceEngine } from "ptuning/engine";
import { gradients } from "ptuning/internal/autodiff";
import { type ExternalTensor, floats, int64s } from "ptuning/internal/core";
import { memorySource } from "ptuning/internal/files";
import { type Graph, GraphBuilder, printGraph, simplify, verify } from "ptuning/internal/graph";
import { decodeModel, encodeModel } from "ptuning/internal/onnx";
import { describe, expect, test } from "vitest";

const weights = memorySource("/weights/model.safetensors", new Uint8Array(256));
const weight: ExternalTensor = {
  dtype: "float32",
  shape: [3, 4],
  source: weights,
  offset: 128,
  byteLength: 48,
};

/** x · Wᵀ, scaled by constants that can be computed before anything runs; one branch leads nowhere. */
function example(): GraphBuilder {
  const b = new GraphBuilder("example");
  const x = b.input("x", "float32", ["B", 4]);
  const frozen = b.initializer("W", weight);
  const scale = b.op("Mul", [b.scalar(2), b.scalar(3)]);
  b.op("Tanh", [x]);
  const product = b.scope("head", () => b.op("Gemm", [x, frozen], { transB: 1 }));
  const [once, twice] = [b.op("Relu", [product]), b.op("Relu", [product])];
  b.output("y", b.op("Mul", [b.op("Add", [once!, twice!]), scale]));
  return b;
}

describe("printing", () => {
  test("shows inputs, frozen tensors and where they lie, nodes with their types, and outputs", () => {
    expect(printGraph(example().build())).toBe(
      `graph example {
  input %x: float32[B, 4]
  frozen %W: float32[3, 4] in model.safetensors at byte 128
  frozen %const 2: float32[]
  frozen %const 3: float32[]
  %Mul: float32[] = Mul(%const 2, %const 3)
  %Tanh: float32[B, 4] = Tanh(%x)
  %head/Gemm: float32[B, 3] = Gemm(%x, %W) {transB=1}
  %Relu: float32[B, 3] = Relu(%head/Gemm)
  %Relu_1: float32[B, 3] = Relu(%head/Gemm)
  %Add: float32[B, 3] = Add(%Relu, %Relu_1)
  %Mul_1: float32[B, 3] = Mul(%Add, %Mul)
  output y = %Mul_1
}`,
    );
  });
});

describe("simplifying", () => {
  test("drops dead nodes, computes constants, merges duplicates, and leaves weights in their file", () => {
    const simple = simplify(example().build());
    expect(simple.nodes.map(({ op }) => op)).toEqual(["Gemm", "Relu", "Add", "Mul"]);
    const sources = [...simple.initializers].map(([value, source]) => [value.name, source] as const);
    // The weight's folder does not exist: whoever touched it would have failed.
    expect(sources.find(([name]) => name === "W")![1]).toBe(weight);
    expect(sources.find(([name]) => name === "Mul")![1]).toMatchObject(floats([], [6]));
  });

  test("never folds what depends on a weight, and nothing that is large", () => {
    const b = new GraphBuilder("frozen");
    const frozen = b.initializer("W", weight);
    const large = b.initializer("large", floats([100, 100], new Float32Array(10_000).fill(1)));
    b.output("a", b.op("Tanh", [frozen]));
    b.output("b", b.op("Tanh", [large]));
    expect(simplify(b.build()).nodes).toHaveLength(2);
  });

  test("computes shapes that are known, and keeps those that only a run knows", async () => {
    const b = new GraphBuilder("shapes");
    const x = b.input("x", "float32", ["B", 4]);
    const known = b.op("Shape", [b.initializer("c", floats([2, 3], [1, 2, 3, 4, 5, 6]))], {});
    b.output("known", known);
    b.output("flat", b.reshape(x, ["4*B"]));
    b.output("wide", b.expand(b.scalar(7), ["B", 2]));
    const simple = simplify(b.build());
    expect(simple.nodes.some(({ op, inputs }) => op === "Shape" && inputs[0]!.name !== "x")).toBe(false);
    const session = await referenceEngine().compile(simple);
    const results = await session.run({
      x: floats(
        [3, 4],
        Array.from({ length: 12 }, (_, i) => i),
      ),
    });
    expect(results.known!.data).toEqual(BigInt64Array.of(2n, 3n));
    expect(results.flat!.shape).toEqual([12]);
    expect(results.wide!.shape).toEqual([3, 2]);
  });
});

test("a value is cut into two parts for each of very many layers", () => {
  const b = new GraphBuilder("parts");
  const parts = b.ops("Split", 2000, [b.input("x", "float32", [3, 2000]), b.integers(Array(2000).fill(1))], {
    axis: 1,
  });
  expect(parts.every(({ shape }) => `${shape}` === "3,1")).toBe(true);
});

describe("mistakes are reported where they are made", () => {
  const b = new GraphBuilder("wrong");
  const x = b.input("x", "float32", ["B", 4]);
  test.each([
    [
      "a matrix that does not fit",
      () => b.op("MatMul", [x, b.initializer("m", floats([3, 2], new Float32Array(6)))]),
    ],
    ["a broadcast of different names", () => b.op("Add", [x, b.input("z", "float32", ["C", 4])])],
    ["too few inputs", () => b.op("Add", [x])],
    ["an unknown attribute", () => b.op("Relu", [x], { slope: 1 } as never)],
    ["an axis that is not there", () => b.op("Softmax", [x], { axis: 2 })],
    ["a name twice", () => b.input("x", "float32", [1])],
    ["a size that no input has", () => b.expand(b.scalar(1), ["Q"])],
    ["a wrong number of outputs", () => b.ops("Relu", 2, [x])],
  ])("%s", (_, build) => {
    expect(build).toThrow(expect.objectContaining({ code: "GRAPH_INVALID" }));
  });

  test("the verifier finds what a pass broke", () => {
    const good = example().build();
    const change = (part: Partial<Graph>): Graph => ({ ...good, ...part });
    const [first, ...rest] = good.nodes;
    const broken = [
      [change({ nodes: good.nodes.toReversed() }), /used before it is defined/],
      [change({ nodes: [first!, ...good.nodes] }), /two values have this name/],
      [change({ nodes: rest }), /"Mul" is used before/],
      [
        change({
          initializers: new Map([...good.initializers].map(([v]) => [v, floats([7], new Float32Array(7))])),
        }),
        /expected float32\[3, 4\]/,
      ],
      [
        change({ outputs: new Map([["y", { name: "gone", dtype: "float32" as const, shape: [] }]]) }),
        /"gone" is not defined/,
      ],
      [
        change({
          nodes: good.nodes.map((node) =>
            node.op === "Tanh" ? { ...node, outputs: [{ ...node.outputs[0]!, shape: [9] }] } : node,
          ),
        }),
        /inference gives float32\[B, 4\], the graph says float32\[9\]/,
      ],
    ] as const;
    expect(() => verify(good)).not.toThrow();
    for (const [graph, message] of broken) expect(() => verify(graph)).toThrow(message);
  });

  test("a loss that a trainable tensor does not reach, or only through an op without gradient", () => {
    const graph = new GraphBuilder("no path");
    const [used, unused] = [graph.input("used", "float32", [2]), graph.input("unused", "float32", [2])];
    expect(() => gradients(graph, graph.sum(used, [0], 0), [unused])).toThrow(
      /does not depend on this trainable/,
    );
    const bits = graph.input("bits", "uint8", [2]);
    const scale = graph.input("scale", "float32", []);
    const loss = graph.sum(graph.op("DequantizeLinear", [bits, scale]), [0], 0);
    expect(() => gradients(graph, loss, [scale])).toThrow(/DequantizeLinear has no gradient/);
  });

  test("gradients take no step below what is trained", () => {
    const graph = new GraphBuilder("partial");
    const x = graph.input("x", "float32", ["B", 4]);
    const below = graph.op("Tanh", [x]);
    const trained = graph.input("t", "float32", [4]);
    const loss = graph.sum(graph.op("Mul", [below, trained]), [0, 1], 0);
    const forward = graph.nodes.length;
    gradients(graph, loss, [trained]);
    const backward = graph.nodes.slice(forward);
    // Nothing of tanh's derivative, 1 − y².
    expect(backward.map(({ op }) => op)).not.toContain("Sub");
  });
});

describe("ModelProto", () => {
  test("a graph comes back as it was, external weights by place", () => {
    const graph = simplify(example().build());
    const decoded = decodeModel(encodeModel(graph), (location) =>
      location === "model.safetensors" ? weights : memorySource(location, new Uint8Array()),
    );
    expect(printGraph(decoded)).toBe(
      printGraph(graph).replace("output y =", `output ${[...graph.outputs.values()][0]!.name} =`),
    );
    const [value] = [...decoded.initializers].find(([{ name }]) => name === "W")!;
    expect(decoded.initializers.get(value)).toEqual(weight);
  });

  test("keeps every kind of attribute and dtype", () => {
    const b = new GraphBuilder("attributes");
    const x = b.input("x", "float32", [2, 3]);
    b.output("gelu", b.op("Gelu", [x], { approximate: "tanh" }));
    b.output(
      "norm",
      b.ops("LayerNormalization", 3, [x, b.initializer("g", floats([3], [1, 1, 1]))], {
        axis: -1,
        epsilon: 1e-5,
      })[0]!,
    );
    b.output("turned", b.op("Transpose", [x], { perm: [1, 0] }));
    b.output("cast", b.op("Cast", [x], { to: "float16" }));
    b.output("shaped", b.op("Reshape", [x, b.initializer("s", int64s([2], [3, 2]))]));
    const graph = b.build();
    const attributes = (of: Graph): unknown[] => of.nodes.map((node) => node.attributes);
    const decoded = decodeModel(encodeModel(graph));
    expect(decoded.nodes.map(({ op }) => op)).toEqual(graph.nodes.map(({ op }) => op));
    expect(JSON.stringify(attributes(decoded), (_, v) => (typeof v === "number" ? Math.fround(v) : v))).toBe(
      JSON.stringify(attributes(graph), (_, v) => (typeof v === "number" ? Math.fround(v) : v)),
    );
  });

  test("bytes that are no model, and ops that the table lacks, are refused by name", () => {
    expect(() => decodeModel(new TextEncoder().encode("not a model"))).toThrow(/ONNX model: /);
    expect(() => decodeModel(new Uint8Array())).toThrow(/expected a graph, got none/);
    const graph = example().build();
    const odd = { ...graph, nodes: graph.nodes.map((node) => ({ ...node })) };
    const bytes = encodeModel(odd);
    // "Tanh" → "Tank" in place: the same length keeps the message whole.
    const at = Buffer.from(bytes).indexOf("\u0022\u0004Tanh");
    expect(at).toBeGreaterThan(0);
    bytes[at + 5] = "k".charCodeAt(0);
    expect(() => decodeModel(bytes)).toThrow(/uses Tank, which is not supported/);
  });
});

describe("the native engine", () => {
  test("says which feed is missing or wrong, and goes on after an error", async () => {
    const engine = nodeEngine({ threads: 1 });
    const b = new GraphBuilder("feeds");
    const x = b.input("x", "float32", ["B", 4]);
    b.output("y", b.op("Relu", [x]));
    const session = await engine.compile(b.build());
    await expect(session.run({})).rejects.toMatchObject({ code: "ENGINE_FAILED" });
    await expect(session.run({ x: floats([2, 3], new Float32Array(6)) })).rejects.toMatchObject({
      code: "ENGINE_FAILED",
    });
    const { y } = await session.run({ x: floats([1, 4], [-1, 2, -3, 4]) });
    expect(Array.from(y!.data as Float32Array)).toEqual([0, 2, 0, 4]);
    await session.release();
    await expect(session.run({ x: floats([1, 4], [0, 0, 0, 0]) })).rejects.toThrow(/released/);
    await engine.close();
  });

  test("leaves the program free while it computes: timers fire during a long run", async () => {
    const engine = nodeEngine({ threads: 1 });
    const b = new GraphBuilder("busy");
    let x = b.input("x", "float32", ["N", "N"]);
    for (let i = 0; i < 6; i++) x = b.op("Tanh", [b.op("MatMul", [x, x])]);
    b.output("y", b.sum(x, [0, 1], 0));
    const session = await engine.compile(b.build());
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await session.run({ x: floats([900, 900], new Float32Array(810_000).fill(1e-3)) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    await engine.close();
  });
});
