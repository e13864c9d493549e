/** The small form of the proof: the same on a small backbone. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/large-state.mjs";

test("a state that is saved tensor by tensor is gone on with to the bit", async () => {
  const { stateBytes, lossesAfter, lossesResumed } = await prove({ size: "small" });
  expect(stateBytes).toBeGreaterThan(2e8);
  expect(lossesResumed).toEqual(lossesAfter);
}, 240_000);
