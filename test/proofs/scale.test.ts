/** The small form of tools/proofs/scale.mjs. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/scale.mjs";

test("commands on ten times as many rows end, answer every row and take hardly more memory", async () => {
  const { figures, missed } = await prove({ size: "small" });
  expect(Object.keys(figures)).toHaveLength(7);
  expect(missed).toEqual([]);
}, 300_000);
