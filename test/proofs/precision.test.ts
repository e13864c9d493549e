/** The small form of the proof: one epoch of TREC. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/precision.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.minilm || !has.data)(
  "a state scores the same with fp32 and int8 layers but for some answers",
  async () => {
    const { rows } = await prove({ size: "small" });
    expect(rows).toMatchObject([{ recipe: "trec-minilm", examples: 500 }]);
    // Better than guessing the most frequent label (18.8), and apart by no more than a few answers of 500.
    expect(rows[0]!.fp32).toBeGreaterThan(50);
    expect(Math.abs(rows[0]!.fp32 - rows[0]!.int8)).toBeLessThanOrEqual(2);
  },
  240_000,
);
