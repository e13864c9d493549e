import { expect, test } from "vitest";
import { prove } from "../../tools/proofs/aborts.mjs";

test("commands that are stopped, or whose disk, engine or thread fails, leave what goes on to the same adapter", async () => {
  const { aborts, failures, hangs } = await prove({ size: "small" });
  expect(aborts.count).toBe(6);
  expect(failures.count).toBe(10);
  expect(hangs).toBe(0);
}, 300_000);
