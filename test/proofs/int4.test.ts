/** The small form of the proof: MiniLM alone. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/int4.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.minilm)(
  "real weights in 4 bits compute what their numbers do, forwards and backwards",
  async () => {
    const { numbers } = await prove({ size: "small" });
    expect(numbers).toMatchObject([{ backbone: "minilm" }]);
    expect(numbers[0]!.outputs).toBeGreaterThanOrEqual(4);
    expect(numbers[0]!.greatestDifference).toBeLessThanOrEqual(1e-4);
  },
  120_000,
);
