import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deepPrompt } from "ptuning/internal/methods";
import { describe, expect, test } from "vitest";
import { ptuning } from "../support/cli.ts";
import { repository } from "../support/requirements.ts";
import { eventsOf, ofType, tinyBackbone, tinyOptions } from "../support/tiny.ts";

interface Measured {
  readonly microBatchSize: number;
  readonly estimatedBytes: number;
  readonly peakMemoryBytes: number;
}

/** A few steps of a run in a process of its own. */
async function measure(data: string, backbone: string, settings: readonly string[]): Promise<Measured> {
  const set = settings.flatMap((setting) => ["--set", setting]);
  const args = ["train", data, "--backbone", backbone, "--dry-run", "--json", "--precision", "fp32", ...set];
  const { stdout, stderr, code } = await ptuning(args);
  if (code !== 0) throw new Error(stderr);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { memory } = lines.find(({ type }) => type === "start");
  const { peakMemoryBytes } = lines.find(({ type }) => type === "dry-run");
  return { ...memory, peakMemoryBytes };
}

describe("memoryLimit", () => {
  test("the estimate is near the measured peak, and a limit is kept", { timeout: 180_000 }, async () => {
    const { randomBackbone } = await import(`${repository}bench/random-backbone.mjs`);
    const backbone: string = await randomBackbone("small");
    const data = join(mkdtempSync(join(tmpdir(), "ptuning-limit-")), "data.csv");
    const words = (row: number): string => Array.from({ length: 60 }, (_, i) => `w${row + i}`).join(" ");
    const rows = Array.from({ length: 256 }, (_, row) => `${words(row)},label ${row % 2}`);
    writeFileSync(data, ["text,label", ...rows].join("\n"));
    const free = await measure(data, backbone, []);
    expect(free.microBatchSize).toBe(32);
    expect(free.peakMemoryBytes / free.estimatedBytes).toBeGreaterThan(0.75);
    expect(free.peakMemoryBytes / free.estimatedBytes).toBeLessThan(1.25);
    const limit = Math.round(0.8 * free.peakMemoryBytes);
    const limited = await measure(data, backbone, [`training.memoryLimit=${limit}`]);
    expect(limited.microBatchSize).toBeLessThan(32);
    expect(limited.peakMemoryBytes).toBeLessThan(1.1 * limit);
  });

  test("smaller passes change no result", async () => {
    const backbone = await tinyBackbone();
    const still = { hiddenDropout: 0, attentionDropout: 0, epochs: 1 } as const;
    const method = deepPrompt({ promptLength: 3, initScale: 0.5 });
    const losses = async (microBatchSize: number): Promise<number[]> => {
      const events = await eventsOf(
        tinyOptions(backbone, { ...still, method, microBatchSize, memory: "lean" }),
      );
      return ofType(events, "step").map(({ loss }) => loss);
    };
    const whole = await losses(8);
    for (const [i, loss] of (await losses(3)).entries())
      expect(Math.abs(loss - whole[i]!)).toBeLessThan(1e-4);
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
      'memoryLimit: expected bytes, a size such as "2 GB", or "none", got "much".',
    );
    await backbone.close();
  });
});
