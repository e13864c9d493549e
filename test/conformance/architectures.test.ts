/** What shared code relies on whatever an architecture computes: for each one with a golden checkpoint. */

import { limitedEngine, nodeEngine } from "ptuning/engine";
import { Adapter, mergeAdapter, referenceTo } from "ptuning/internal/adapters";
import { type Backbone, loadBackbone, type RowsRead, withPrecision } from "ptuning/internal/backbones";
import { floats, int32s, type Params, Rng, type Tensor, type TensorMap } from "ptuning/internal/core";
import { standardOps } from "ptuning/internal/graph";
import type { Head } from "ptuning/internal/heads";
import { deepPrompt, linearProbe, lora, type Method, promptTuning } from "ptuning/internal/methods";
import {
  gradientOutput,
  inferenceGraph,
  initializeParams,
  lossScaleInput,
  trainingGraph,
  trunkGraph,
  trunkLayers,
} from "ptuning/internal/model";
import { sequenceClassification, type Task } from "ptuning/tasks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { architectures, batch, feeds, length } from "../support/architectures.ts";
import { goldenPath, perTensorError } from "../support/golden.ts";

const native = nodeEngine({ threads: 1 });
afterAll(() => native.close());
/** A head that hands out the states it reads. */
const states = (rows: RowsRead): Head => ({
  name: "states",
  options: {},
  rows,
  initialize: () => ({}),
  build: (_, { hidden }) => hidden,
});

/** Positions 1 and 3 of each text. */
const marks: TensorMap = {
  marked_rows: int32s(
    [2, batch],
    [1, 3].flatMap((s) => [0, 1, 2].map((b) => s * batch + b)),
  ),
  mark_counts: int32s([batch], [2, 2, 2]),
};

const engines = [native, limitedEngine(native, { ops: standardOps })];
const tested = architectures.flatMap((architecture) =>
  engines.map((engine) => ({ architecture, engine, name: engine.name })),
);

describe.each(tested)("$architecture on $name", ({ architecture, engine }) => {
  let backbone: Backbone;
  beforeAll(async () => {
    backbone = await loadBackbone(goldenPath(architecture), { engine });
  });
  const methods: [string, Method][] = [
    ["deep prompts", deepPrompt({ promptLength: 3 })],
    ["a prompt of words", promptTuning({ promptLength: 3 })],
    ["low-rank pairs", lora()],
    ["low-rank pairs on all linear layers", lora({ targets: "all" })],
  ];

  const run = async (
    parts: { method: Method; head: Head; backbone: Backbone },
    params: Params,
    fed: TensorMap,
  ) => {
    await using session = await engine.compile(inferenceGraph(parts, params));
    return (await session.run({ ...fed, ...params })).logits!;
  };

  test.each(methods)("rows that are read alone are those of all: %s", async (_, method) => {
    const parts = { backbone, method, head: states("all") };
    const params = await initializeParams({ ...parts, head: states("first") }, new Rng(1));
    // Pairs start with nothing to add.
    const rng = new Rng(2);
    for (const [name, { data }] of Object.entries(params))
      if (name.endsWith(".B")) for (const i of data.keys()) data[i] = 0.1 * rng.normal();
    const all = await run(parts, params, feeds);
    const width = backbone.config.hiddenSize;
    const rowsOf = (positions: number[]): Tensor =>
      floats(
        [positions.length * batch, width],
        (all.data as Float32Array).filter((_, i) => positions.includes(Math.floor(i / width / batch))),
      );
    const first = await run({ ...parts, head: states("first") }, params, feeds);
    expect(perTensorError(first, rowsOf([0]))).toBeLessThan(1e-5);
    const marked = await run({ ...parts, head: states({ marked: 2 }) }, params, { ...feeds, ...marks });
    expect(perTensorError(marked, rowsOf([1, 3]))).toBeLessThan(1e-5);
  });

  test("low-rank pairs that are merged compute the same", async () => {
    const task = sequenceClassification({ labels: ["a", "b"], pooling: "cls" }) as Task;
    const parts = { backbone, method: lora({ targets: "all", rank: 3 }), head: task.head };
    const fresh = await initializeParams(parts, new Rng(1));
    const params = structuredClone(fresh) as Params;
    const rng = new Rng(2);
    for (const [name, { data }] of Object.entries(params))
      if (name.endsWith(".B")) for (const i of data.keys()) data[i] = 0.1 * rng.normal();
    const fields = { task, method: parts.method, backbone: referenceTo(backbone), maxLength: length };
    const provenance = { createdAt: "", versions: {} };
    const merged = await mergeAdapter(new Adapter({ ...fields, params, provenance }), backbone);
    const logits = await run(parts, params, feeds);
    expect(perTensorError(logits, await run(parts, fresh, feeds))).toBeGreaterThan(1e-3);
    const alone = await run({ ...parts, method: merged.method }, merged.params, feeds);
    expect(perTensorError(alone, logits)).toBeLessThan(1e-5);
  });

  test("a trunk and the layers above it are the whole", async () => {
    const { numLayers } = backbone.config;
    const method = deepPrompt({ promptLength: 3, promptLayers: { last: 1 } });
    for (const rows of ["all", "first"] as const) {
      const parts = { backbone, method, head: states(rows) };
      const params = await initializeParams(parts, new Rng(1));
      const layers = trunkLayers(parts, params);
      expect(layers).toBe(numLayers - 1);
      const trunk = { layers, dtype: "float32" } as const;
      await using lower = await engine.compile(trunkGraph(parts, trunk));
      const { "trunk.states": cached } = await lower.run(feeds);
      await using upper = await engine.compile(inferenceGraph(parts, params, trunk));
      const { logits } = await upper.run({ ...feeds, "trunk.states": cached!, ...params });
      expect(perTensorError(logits!, await run(parts, params, feeds))).toBeLessThan(1e-5);
    }
  });

  test.each(["fp32", "int8"] as const)("little memory gives the same gradients: %s", async (precision) => {
    const task = sequenceClassification({ labels: ["a", "b"] });
    const parts = {
      backbone: await withPrecision(backbone, precision),
      method: deepPrompt({ promptLength: 3 }),
      head: task.head,
    };
    expect(parts.backbone.precision).toBe(precision);
    const params = await initializeParams(parts, new Rng(1));
    const encoded = { count: 3, sequences: undefined as never, labels: Int32Array.of(0, 1, 1), examples: [] };
    const fed = {
      ...feeds,
      ...task.targets(encoded, { rows: Int32Array.of(0, 1, 2), length }),
      [lossScaleInput]: floats([], [1 / 3]),
      ...params,
    };
    const outputs = await Promise.all(
      (["fast", "lean"] as const).map(async (memory) => {
        const { graph } = trainingGraph(parts, task, params, { hidden: 0, attention: 0 }, memory);
        await using session = await engine.compile(graph);
        return session.run(fed);
      }),
    );
    for (const name of Object.keys(params)) {
      const [fast, lean] = outputs.map((output) => output[gradientOutput(name)]!);
      expect(perTensorError(lean!, fast!, 1e-3), name).toBeLessThan(1e-5);
    }
  });

  test.each([{}, { targets: "all" }] as const)(
    "LoRA finds its layers, and starts as the backbone: %o",
    async (options) => {
      const parts = { backbone, method: lora({ rank: 2, ...options }), head: states("all") };
      const params = await initializeParams(parts, new Rng(1));
      const adapted = Object.keys(params).length / 2;
      const { length } = backbone.architecture.linears(backbone.config);
      if ("targets" in options) expect(adapted).toBe(length);
      else expect(adapted).toBeGreaterThan(0);
      const plain = { ...parts, method: linearProbe() };
      const expected = await run(plain, {}, feeds);
      expect(perTensorError(await run(parts, params, feeds), expected)).toBeLessThan(1e-6);
    },
  );

  test.each(["fp32", "int8"] as const)(
    "a text's states do not depend on those beside it: %s",
    async (precision) => {
      const method = deepPrompt({ promptLength: 3 });
      const parts = { backbone: await withPrecision(backbone, precision), method, head: states("first") };
      const params = await initializeParams(parts, new Rng(1));
      const together = await run(parts, params, feeds);
      const width = backbone.config.hiddenSize;
      for (let text = 0; text < batch; text++) {
        const own = Object.fromEntries(
          Object.entries(feeds).map(([name, { data }]) => [
            name,
            int32s(
              [length, 1],
              (data as Int32Array).filter((_, i) => i % batch === text),
            ),
          ]),
        );
        const alone = await run(parts, params, own);
        expect([...alone.data]).toEqual([...together.data.slice(text * width, (text + 1) * width)]);
      }
    },
  );
});
