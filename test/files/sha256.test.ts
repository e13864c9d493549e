/** SHA-256 in every place beside that of Node. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import fc from "fast-check";
import { createSha256, hashText, hex, type Sha256 } from "ptuning/internal/files";
import { describe, expect, test } from "vitest";
import { repository } from "../support/requirements.ts";

const portable: { createSha256(): Sha256 } = await import(join(repository, "dist/files/sha256.js"));

const expected = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe.each([
  ["as Node has it", createSha256],
  ["as other places have it", portable.createSha256],
])("SHA-256 %s", (_, create) => {
  test("of bytes in pieces of any length, and of what came so far", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (pieces) => {
        const hash = create();
        let whole = Buffer.alloc(0);
        for (const piece of pieces) {
          const before = hash.copy();
          hash.update(piece);
          expect(hex(before.digest())).toBe(expected(whole));
          whole = Buffer.concat([whole, piece]);
          expect(hex(hash.digest())).toBe(expected(whole));
          expect(hex(before.update(piece).digest())).toBe(expected(whole));
        }
      }),
      { numRuns: 300 },
    );
  });

  test("of every length around blocks", () => {
    for (let length = 0; length < 300; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => i * 7);
      expect(hex(create().update(bytes).digest()), String(length)).toBe(expected(bytes));
    }
    const large = new Uint8Array(3_000_017).fill(0xa5);
    expect(hex(create().update(large).digest())).toBe(expected(large));
  });

  test("of texts as UTF-8", () => {
    const text = "Grüße, 世界 🙂";
    expect(hex(create().update(text).digest())).toBe(hashText(text));
    expect(hashText(text)).toBe(expected(Buffer.from(text)));
  });
});
