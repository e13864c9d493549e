import { spawn } from "node:child_process";
import { type Engine, nodeEngine, referenceEngine } from "ptuning/engine";
import type { Backbone } from "ptuning/internal/backbones";
import { withPrecision } from "ptuning/internal/backbones";
import { floats, int32s, Rng, type TensorMap } from "ptuning/internal/core";
import { GraphBuilder, planMemory, simplify } from "ptuning/internal/graph";
import { deepPrompt } from "ptuning/internal/methods";
import {
  gradientOutput,
  initializeParams,
  lossScaleInput,
  type MemoryMode,
  trainingGraph,
} from "ptuning/internal/model";
import { dropoutBanks, dropoutOffsets } from "ptuning/internal/nn";
import { sequenceClassification } from "ptuning/tasks";
import { describe, expect, test } from "vitest";
import { relativeError } from "../support/golden.ts";
import { has, repository } from "../support/requirements.ts";
import { tinyBackbone } from "../support/tiny.ts";

const [B, S] = [3, 5];
const sizes = { B, S };

/** Outputs of one step with every kind of dropout on. */
async function step(backbone: Backbone, memory: MemoryMode, mlp: boolean): Promise<TensorMap> {
  const task = sequenceClassification({ labels: ["a", "b", "c"], pooling: "mean", headDropout: 0.2 });
  const method = deepPrompt({
    promptLength: 3,
    promptDropout: 0.2,
    initScale: 0.5,
    ...(mlp && { reparameterization: "mlp", prefixHiddenSize: 8 }),
  });
  const parts = { backbone, method, head: task.head };
  const params = await initializeParams(parts, new Rng(1));
  const { graph, dropout } = trainingGraph(parts, task, params, { hidden: 0.1, attention: 0.3 }, memory);
  const rng = new Rng(2);
  const session = await backbone.engine.compile(graph);
  const outputs = await session.run({
    ...params,
    ...dropoutBanks(dropout, sizes, rng),
    ...dropoutOffsets(dropout, sizes, sizes, rng),
    input_ids: int32s(
      [S, B],
      Array.from({ length: S * B }, () => rng.integer(40)),
    ),
    token_type_ids: int32s([S, B], new Int32Array(S * B)),
    attention_mask: int32s(
      [S, B],
      Array.from({ length: S * B }, (_, i) => (i < 12 ? 1 : 0)),
    ),
    ...task.targets(
      { count: B, sequences: undefined as never, labels: Int32Array.of(0, 1, 2), examples: [] },
      { rows: Int32Array.of(0, 1, 2), length: S },
    ),
    [lossScaleInput]: floats([], [1 / B]),
  });
  await session.release();
  expect(Object.keys(outputs)).toEqual(["loss", ...Object.keys(params).map(gradientOutput)]);
  return outputs;
}

describe("lean", () => {
  const engines: [string, () => Engine, "fp32" | "int8", number][] = [
    ["float64 reference", referenceEngine, "fp32", 0],
    ["ONNX Runtime, fp32", () => nodeEngine({ threads: 1 }), "fp32", 1e-6],
    ["ONNX Runtime, int8", () => nodeEngine({ threads: 1 }), "int8", 1e-6],
  ];
  test.each(engines)("gives the loss and gradients of fast: %s", async (_, engine, precision, tolerance) => {
    const backbone = await withPrecision(await tinyBackbone(engine()), precision);
    for (const mlp of [false, true]) {
      const fast = await step(backbone, "fast", mlp);
      const lean = await step(backbone, "lean", mlp);
      for (const [name, { data }] of Object.entries(fast)) {
        expect(data.some((value) => Number(value) !== 0)).toBe(true);
        expect(relativeError(lean[name]!.data, data)).toBeLessThanOrEqual(tolerance);
      }
    }
    await backbone.close();
  });

  test.skipIf(!has.minilm)(
    "takes less at its peak, measured, each in a process of its own",
    { timeout: 120_000 },
    async () => {
      const shape = ["minilm", "16", "128", "20"];
      for (const precision of ["fp32", "int8"]) {
        const fast = await peakAboveIdle([...shape, precision, "fast"]);
        const lean = await peakAboveIdle([...shape, precision, "lean"]);
        // Tokenizer, graph and weights are the same for both: 0.63 in fp32, 0.65 in int8.
        expect(lean).toBeLessThan(0.7 * fast);
      }
    },
  );
});

/** Peak resident bytes of three steps above the idle process. */
function peakAboveIdle(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["bench/contender.mjs", ...args], { cwd: repository });
    let text = "";
    child.stdout.on("data", (part) => {
      text += part;
    });
    child.stdin.end("measure 1\nend\n");
    child.on("close", (code) => {
      const facts = Object.assign(
        {},
        ...text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line)),
      );
      if (code === 0) resolve(facts.peakBytes - facts.idleBytes);
      else reject(new Error(`ended with code ${code}`));
    });
  });
}

describe("control edges", () => {
  const build = (late: boolean) => {
    const b = new GraphBuilder("test");
    const x = b.input("x", "float32", ["B", 4]);
    const first = b.op("Exp", [x]);
    const trigger = b.op("Neg", [b.op("Neg", [first])]);
    const again = b.op("Exp", [late ? b.after(x, trigger) : x]);
    b.output("y", b.op("Add", [again, trigger]));
    return simplify(b.build());
  };

  test("keep nodes apart that merging would make one", () => {
    const count = (late: boolean): number => build(late).nodes.filter(({ op }) => op === "Exp").length;
    expect([count(false), count(true)]).toEqual([1, 2]);
  });

  test("wait for nothing that nobody reads", () => {
    const b = new GraphBuilder("test");
    const x = b.input("x", "float32", ["B", 4]);
    const unread = b.op("Exp", [b.op("Tanh", [x])]);
    b.output("y", b.after(b.op("Neg", [x]), unread));
    const ops = simplify(b.build()).nodes.map(({ op }) => op);
    expect(ops).toContain("Neg");
    expect(ops).not.toContain("Exp");
    expect(ops).not.toContain("Tanh");
  });

  test.each([referenceEngine(), nodeEngine({ threads: 1 })])("change no value: $name", async (engine) => {
    // Not even where the gradient that is waited for is not a number.
    const x = floats([2, 4], [0, 1, -1, 0.5, Number.NaN, 2, 3, -2]);
    const session = await engine.compile(build(true));
    const { y } = await session.run({ x });
    for (const [i, value] of x.data.entries()) {
      if (Number.isNaN(value)) expect(y!.data[i]).toBeNaN();
      else expect(Number(y!.data[i])).toBeCloseTo(2 * Math.exp(value), 4);
    }
    await engine.close();
  });
});

test("a plan counts what exists at once, in the runtime's order", () => {
  const b = new GraphBuilder("test");
  const x = b.input("x", "float32", ["N", 8]);
  const wide = b.op("Concat", [x, x], { axis: 1 });
  const sum = b.sum(wide, [1], 1);
  b.output("y", b.op("Add", [b.op("Exp", [b.op("Tanh", [wide])]), sum]));
  // Of 64 bytes a row: the concatenation, its tanh (overwritten by the exponential), and the 4-byte sum.
  expect(planMemory(b.build(), { N: 10 }).peakBytes).toBe(10 * (64 + 64 + 4));
});
