import { deepPrompt } from "ptuning/methods";
import { describe, expect, test } from "vitest";
import { eventsOf, ofType, tinyBackbone, tinyOptions } from "../support/tiny.ts";

describe("memoryLimit", () => {
  const still = { hiddenDropout: 0, attentionDropout: 0, epochs: 1, batchSize: 96, maxLength: 40 } as const;
  const method = deepPrompt({ promptLength: 3, initScale: 0.5 });

  test("cuts batches into passes that are estimated to fit, and changes no result", async () => {
    const backbone = await tinyBackbone();
    const whole = await eventsOf(tinyOptions(backbone, { ...still, method }));
    const [start] = ofType(whole, "start");
    expect(start!.memory.microBatchSize).toBe(96);
    expect(start!.memory.estimatedBytes).toBeGreaterThan(process.memoryUsage.rss() / 4);
    // A limit just under what the whole batch takes; the process grows in between, by less than two whole batches.
    const limit = start!.memory.estimatedBytes - 1;
    const parts = await eventsOf(tinyOptions(backbone, { ...still, method, memoryLimit: limit }));
    const [cut] = ofType(parts, "start");
    expect(cut!.memory.microBatchSize).toBeLessThan(96);
    expect(cut!.memory.estimatedBytes).toBeLessThanOrEqual(limit);
    const losses = (events: typeof whole): number[] => ofType(events, "step").map(({ loss }) => loss);
    expect(Math.abs(losses(parts)[0]! - losses(whole)[0]!)).toBeLessThan(1e-5);
    await backbone.close();
  });

  test("says what the least is, and what a size looks like", async () => {
    const backbone = await tinyBackbone();
    await expect(eventsOf(tinyOptions(backbone, { memoryLimit: "1 MB" }))).rejects.toMatchObject({
      code: "OPTION_INVALID",
      message: expect.stringMatching(
        /^memoryLimit: expected at least \d+ MB for one example at a time, got 1 MB\.$/,
      ),
    });
    await expect(eventsOf(tinyOptions(backbone, { memoryLimit: "much" }))).rejects.toThrow(
      'memoryLimit: expected bytes, a size such as "2 GB", or "none", got much.',
    );
    await backbone.close();
  });
});
