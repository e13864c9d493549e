import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/kills.mjs";

test("killed before a step on the disk or at any moment: the old or the new, whole, and nothing else", async () => {
  const figures = await prove({ size: "small" });
  for (const { kills } of Object.values(figures)) expect(kills).toBeGreaterThan(5);
}, 300_000);
