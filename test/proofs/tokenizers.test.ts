import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/tokenizers.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.python || !has.data)(
  "tokenizers that are built give texts the ids and places that SentencePiece and transformers give them",
  async () => {
    const { rows } = await prove({ size: "small" });
    expect(rows.length).toBeGreaterThanOrEqual(8);
    for (const { ties = 0, accents = 0, punctuation = 0, expansions = 0, unexplained } of rows) {
      expect(ties + accents + punctuation + expansions).toBeLessThan(10);
      expect(unexplained).toBe(0);
    }
  },
  300_000,
);
