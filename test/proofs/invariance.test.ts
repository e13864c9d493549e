import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/invariance.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.minilm || !has.data)(
  "a text's logits are the same to the bit in any company, with tuned prompts, in fp32 and in int8",
  async () => {
    const { rows } = await prove({ size: "small" });
    expect(rows).toHaveLength(8);
    for (const { texts, together, shuffled, neighbours } of rows) {
      expect(texts).toBe(20);
      expect([together, shuffled, neighbours]).toEqual([0, 0, 0]);
    }
  },
  600_000,
);
