/** What an engine says of itself decides how a backbone is held, whatever the machine is. */

import { cpuFacts, type Int8Facts, limitedEngine, nodeEngine, referenceEngine } from "ptuning/engine";
import { type Backbone, choosePrecision, loadBackbone, withPrecision } from "ptuning/internal/backbones";
import { readTensor } from "ptuning/internal/files";
import { afterAll, expect, test } from "vitest";
import { goldenPath } from "../support/golden.ts";

const engine = nodeEngine({ threads: 1 });
afterAll(() => engine.close());
const facts: readonly Int8Facts[] = [
  { bits: 7, isFast: false },
  { bits: 8, isFast: false },
  { bits: 8, isFast: true },
];
const backboneOn = (int8: Int8Facts): Promise<Backbone> =>
  loadBackbone(goldenPath("bert"), { engine: limitedEngine(engine, { int8 }) });

test.each(facts)("auto and the bits of int8 are the engine's: %o", async (int8) => {
  const backbone = await backboneOn(int8);
  expect((await withPrecision(backbone, "auto")).precision).toBe(int8.isFast ? "int8" : "fp32");
  const { weights, precision } = await withPrecision(backbone, "int8");
  expect(precision).toBe("int8");
  const names = [...weights.keys()].filter((name) => /\.int8\.(forward|backward)$/.test(name));
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) {
    const weight = weights.get(name)!;
    const { data } = await readTensor(weight.source, weight);
    const greatest = (data as Int8Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(greatest, name).toBe(2 ** (int8.bits - 1) - 1);
  }
});

test("the reference engine is exact and takes fp32 by itself, ONNX Runtime what the CPU is good at", () => {
  expect(choosePrecision("auto", referenceEngine().facts)).toBe("fp32");
  const { int8Dot, x86 } = cpuFacts();
  expect(engine.facts.int8).toEqual({ bits: x86 && !int8Dot ? 7 : 8, isFast: int8Dot });
  expect(choosePrecision("auto", engine.facts)).toBe(int8Dot ? "int8" : "fp32");
  expect(choosePrecision("int4", referenceEngine().facts)).toBe("int4");
});
