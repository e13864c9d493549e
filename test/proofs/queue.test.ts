/** The small form of tools/proofs/queue.mjs. */
import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/queue.mjs";
import { has } from "../support/requirements.ts";

test.skipIf(!has.redis)(
  "sweeps through Redis take their own results and leave those of others",
  async () => {
    expect(await prove({ size: "small" })).toMatchObject({
      ...{ sweeps: 3, rows: 6, wrongRows: 0, thrownAway: 0, forged: 1, otherVersions: 1 },
    });
  },
  240_000,
);
