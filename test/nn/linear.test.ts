import { nodeEngine, referenceEngine } from "ptuning/engine";
import { gradients } from "ptuning/internal/autodiff";
import { floats, type Tensor } from "ptuning/internal/core";
import { GraphBuilder, type Value } from "ptuning/internal/graph";
import { type LayerContext, linear } from "ptuning/internal/nn";
import { describe, expect, test } from "vitest";

const width = 8;
const identity = new Int8Array(width * width).map((_, i) => (i % (width + 1) === 0 ? 127 : 0));
const square = [width, width];
/** A layer that passes its input on, in int8. */
const weights: Readonly<Record<string, Tensor>> = {
  "layer.bias": floats([width], new Float32Array(width)),
  ...Object.fromEntries(
    ["forward", "backward"].flatMap((direction): [string, Tensor][] => {
      const name = `layer.weight.int8.${direction}`;
      return [
        [name, { dtype: "int8", shape: square, data: identity }],
        [`${name}.scale`, floats([width], new Float32Array(width).fill(1 / 127))],
      ];
    }),
  ),
};

/** Gradients of rows whose sizes are 1 and a ten-thousandth, and their relative errors. */
async function errors(engine: ReturnType<typeof nodeEngine>, unevenGradients: boolean): Promise<number[]> {
  const b = new GraphBuilder("test");
  const known = new Map<string, Value>();
  const ctx: LayerContext = {
    b,
    coarseGradients: true,
    unevenGradients,
    dropout: undefined,
    batchInvariant: false,
    hasWeight: (name) => name in weights,
    isFrozen: () => true,
    weight(name) {
      const value = known.get(name) ?? b.initializer(name, weights[name]!);
      known.set(name, value);
      return value;
    },
  };
  const x = b.input("x", "float32", [3, width]);
  const pull = b.input("pull", "float32", [3, width]);
  const y = b.op("Mul", [linear(ctx, x, "layer", width), pull]);
  b.output("grad", gradients(b, b.sum(y, [0, 1], 0), [x])[0]!);
  const session = await engine.compile(b.build());
  const size = [1, 1e-4, 0];
  const wanted = Array.from(
    { length: 3 * width },
    (_, i) => size[Math.floor(i / width)]! * Math.sin(1 + i * 1.7),
  );
  const { grad } = await session.run({
    x: floats([3, width], new Float32Array(3 * width).fill(0.5)),
    pull: floats([3, width], wanted),
  });
  const found = Array.from(grad!.data, Number);
  return [0, 1, 2].map((row) => {
    const part = <T>(values: readonly T[]): readonly T[] => values.slice(row * width, (row + 1) * width);
    const difference = Math.hypot(...part(found).map((value, i) => value - part(wanted)[i]!));
    return difference / (Math.hypot(...part(wanted)) || 1);
  });
}

describe.each([referenceEngine(), nodeEngine({ threads: 1 })])("int8 gradients: $name", (engine) => {
  test("rows far apart in size keep their digits where they are scaled one by one", async () => {
    const [large, small, none] = await errors(engine, true);
    expect(large).toBeLessThan(0.02);
    expect(small).toBeLessThan(0.02);
    expect(none).toBe(0);
  });

  test("one scale for all rounds small rows away", async () => {
    const [large, small] = await errors(engine, false);
    expect(large).toBeLessThan(0.02);
    expect(small).toBeGreaterThan(0.5);
    await engine.close();
  });
});
