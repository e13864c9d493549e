import { nodeEngine } from "ptuning/engine";
import { floats, Rng } from "ptuning/internal/core";
import { GraphBuilder } from "ptuning/internal/graph";
import { affine, type LayerContext } from "ptuning/internal/nn";
import { afterAll, describe, expect, test } from "vitest";

const engines = [1, 2, 3, 8].map((threads) => nodeEngine({ threads }));
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

/** Widths whose products ONNX Runtime adds up in other stretches with other numbers of rows, columns or threads; and others. */
const widths = [
  ...[
    [64, 384],
    [77, 768],
    [100, 384],
    [128, 512],
    [1, 384],
    [2, 384],
    [6, 2688],
    [384, 384],
    [5, 32],
  ],
] as const;

describe.each(widths)("%i outputs of %i inputs", (outputs, inputs) => {
  test("each number depends on its row and its column alone, to the bit", async () => {
    const rng = new Rng(outputs, inputs);
    const random = (count: number): Float32Array => Float32Array.from({ length: count }, () => rng.normal());
    const [rows, columns, biases] = [random(70 * inputs), random(outputs * inputs), random(outputs)];
    let first: Float32Array | undefined;
    for (const engine of engines) {
      const b = new GraphBuilder("affine");
      const ctx = { b, batchInvariant: true } as LayerContext;
      const [x, w] = [b.input("x", "float32", ["N", inputs]), b.input("w", "float32", ["O", inputs])];
      b.output("y", affine(ctx, x, w, b.input("c", "float32", ["O"])));
      const session = await engine.compile(b.build());
      const run = async (from: number, n: number, column: number, o: number): Promise<Float32Array> => {
        const { y } = await session.run({
          x: floats([n, inputs], rows.subarray(from * inputs, (from + n) * inputs)),
          w: floats([o, inputs], columns.subarray(column * inputs, (column + o) * inputs)),
          c: floats([o], biases.subarray(column, column + o)),
        });
        return y!.data as Float32Array;
      };
      const all = await run(0, 70, 0, outputs);
      first ??= all;
      expect(all).toEqual(first);
      // What comes out is right, and not only always the same.
      const exact = rows.subarray(0, inputs).reduce((sum, value, i) => sum + value * columns[i]!, biases[0]!);
      expect(all[0]).toBeCloseTo(exact, 2);
      const half = Math.ceil(outputs / 2);
      for (const [from, n, column, o] of [
        ...[
          [0, 1, 0, outputs],
          [3, 2, 0, outputs],
          [9, 33, 0, outputs],
          [69, 1, half - 1, 1],
          [5, 64, 0, half],
        ],
      ] as [number, number, number, number][]) {
        const part = await run(from, n, column, o);
        const expected = Array.from({ length: n }, (_, i) => {
          const at = (from + i) * outputs + column;
          return [...all.subarray(at, at + o)];
        });
        expect([...part]).toEqual(expected.flat());
      }
    }
  });
});
