import { floats } from "ptuning/internal/core";
import { fineTuning } from "ptuning/internal/methods";
import { inferenceGraph, paramShapes } from "ptuning/internal/model";
import { expect, test } from "vitest";
import { tinyBackbone, tinyOptions } from "../support/tiny.ts";

test("a trained tensor of another shape is an error, and does not give way to the frozen one", async () => {
  await using backbone = await tinyBackbone();
  const parts = { backbone, method: fineTuning(), head: tinyOptions(backbone).task.head };
  const shapes = paramShapes(parts);
  expect(() => inferenceGraph(parts, shapes)).not.toThrow();
  const name = "backbone.encoder.layer.0.output.dense.bias";
  expect(shapes).toHaveProperty([name]);
  expect(() => inferenceGraph(parts, { ...shapes, [name]: floats([3], [1, 2, 3]) })).toThrow(
    /weight "encoder.layer.0.output.dense.bias": expected \[32\], got \[3\]/,
  );
});
