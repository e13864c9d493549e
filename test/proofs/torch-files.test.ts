/** The small form of the proof: the same on a small backbone, whose time is that of its process. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/torch-files.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.python)(
  "files of PyTorch load as small as safetensors, and are the same backbone",
  async () => {
    const { equal, figures } = await prove({ size: "small" });
    expect(equal).toBe(true);
    for (const { ratios } of [figures.known.zip, figures.known.legacy, figures.fresh.zip]) {
      expect(ratios.memory).toBeLessThan(1.2);
    }
  },
  240_000,
);
