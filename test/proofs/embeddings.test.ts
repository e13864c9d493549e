/** The small form of the proof: MiniLM alone. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/embeddings.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.minilm || !has.data || !has.python)(
  "vectors of real weights are those of transformers",
  async () => {
    const { rows } = await prove({ size: "small" });
    expect(rows).toMatchObject([{ backbone: "minilm", texts: 24 }]);
    expect(rows[0]!.greatestDifference).toBeLessThanOrEqual(1e-5);
  },
  120_000,
);
