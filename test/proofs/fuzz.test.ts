import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/fuzz.mjs";

test("mutated adapters, backbones, configurations and data give answers or errors of ours", async () => {
  const { cases, outcomes } = await prove({ size: "small" });
  expect(Object.values(outcomes).flatMap((kind) => Object.values(kind))).not.toContain(0);
  expect(
    Object.values(outcomes)
      .flatMap((kind) => Object.values(kind))
      .reduce((a, b) => a + b),
  ).toBe(cases);
  for (const kind of ["sidecar", "tensors", "config", "weights", "yaml", "data", "parquet"])
    expect(outcomes).toHaveProperty(kind);
}, 300_000);
