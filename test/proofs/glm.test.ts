/** The small form of the proof: a GLM of three layers, whose memory is that of its process. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/glm.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.python)(
  "a GLM in a file of PyTorch becomes int4, learns and answers",
  async () => {
    const { figures } = await prove({ size: "small" });
    const { parameters, fileBytes, int4Bytes, train, predict } = figures.tiny!;
    expect(fileBytes).toBeGreaterThan(2 * parameters);
    expect(int4Bytes).toBeLessThan(2 * parameters);
    expect(train.stepSeconds).toBeGreaterThan(0);
    expect(predict.peakBytes).toBeLessThan(1e9);
  },
  240_000,
);
