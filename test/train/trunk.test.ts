import { readdir } from "node:fs/promises";
import type { Backbone } from "ptuning/internal/backbones";
import { cacheFolder } from "ptuning/internal/files";
import { deepPrompt } from "ptuning/internal/methods";
import type { TrainOptions } from "ptuning/internal/train";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyOptions } from "../support/tiny.ts";

let backbone: Backbone;
beforeAll(async () => {
  backbone = await tinyBackbone();
});
afterAll(() => backbone.close());

const run = async (change: Partial<TrainOptions>) => {
  const method = deepPrompt({ promptLength: 3, initScale: 0.5, promptLayers: { last: 1 } });
  const events = await eventsOf(tinyOptions(backbone, { method, epochs: 2, ...change }));
  return {
    trunk: ofType(events, "trunk"),
    losses: ofType(events, "step").map(({ loss }) => loss),
    dev: ofType(events, "evaluation").map(({ loss }) => loss),
  };
};

const largestDifference = (a: readonly number[], b: readonly number[]): number => {
  expect(a).toHaveLength(b.length);
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));
};

describe("trunk cache", () => {
  const still = { hiddenDropout: 0, attentionDropout: 0 } as const;

  test.each(["memory", "file", "auto"] as const)(
    "%s: the run of an uncached trunk to 1e-5",
    async (trunkCache) => {
      const plain = await run(still);
      const cached = await run({ ...still, trunkCache });
      expect(largestDifference(cached.losses, plain.losses)).toBeLessThan(1e-5);
      expect(largestDifference(cached.dev, plain.dev)).toBeLessThan(1e-5);
      const place = trunkCache === "file" ? "file" : "memory";
      expect(cached.trunk).toMatchObject([{ layers: 1, numLayers: 2, place, dtype: "float32" }]);
      expect(plain.trunk).toEqual([]);
    },
  );

  test("in 16 bits: half the size, nearly the same run; also with micro-batches and lean", async () => {
    const plain = await run(still);
    const full = await run({ ...still, trunkCache: "memory", memory: "lean", microBatchSize: 3 });
    const half = await run({ ...still, trunkCache: "file", trunkCacheType: "float16" });
    expect(largestDifference(full.losses, plain.losses)).toBeLessThan(1e-4);
    const difference = largestDifference(half.losses, plain.losses);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(2e-2);
    expect(half.trunk[0]!.bytes).toBe(full.trunk[0]!.bytes / 2);
  });

  test("leaves out the dropout beneath, and says which", async () => {
    const dropout = { hiddenDropout: 0.2, attentionDropout: 0.3 } as const;
    const plain = await run(dropout);
    const cached = await run({ ...dropout, trunkCache: "memory" });
    expect(cached.trunk[0]!.droppedOut).toEqual({ hidden: 0.2, attention: 0.3 });
    expect(cached.losses).not.toEqual(plain.losses);
    // Above the trunk it is still active.
    expect(cached.losses).not.toEqual((await run({ ...still, trunkCache: "memory" })).losses);
  });

  test("keeps nothing where training reaches the lowest layer", async () => {
    const method = deepPrompt({ promptLength: 3, initScale: 0.5 });
    const plain = await run({ method });
    const cached = await run({ method, trunkCache: "auto" });
    expect(cached.trunk).toMatchObject([{ layers: 0, bytes: 0 }]);
    expect(cached.losses).toEqual(plain.losses);
  });

  test("leaves no file behind", async () => {
    await run({ ...still, trunkCache: "file", epochs: 1 });
    expect((await readdir(cacheFolder())).filter((name) => name.startsWith("trunk-"))).toEqual([]);
  });
});
