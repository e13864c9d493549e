/** What reaches a terminal, a page or a line of JSON, for every text. */
import fc from "fast-check";
import { escapeControls, escapeLines, jsonLine } from "ptuning/internal/core";
import { markdownTable, textTable } from "ptuning/internal/report";
import { expect, test } from "vitest";
import { dangerousIn } from "../support/dangerous.ts";

/** Texts in which dangerous characters are frequent. */
const acting = [
  "\u001b",
  "\u001b[31m",
  "\u001b]0;title\u0007",
  "\u009b",
  "\u0085",
  "\r",
  "\b",
  "\u007f",
  "\u0000",
  "\u061c",
  "\u200b",
  "\u200e",
  "\u200f",
  "\u2028",
  "\u202a",
  "\u202e",
  "\u2066",
  "\u2069",
  "\ufeff",
  "\u{e0041}",
];
const text = fc
  .array(fc.oneof(fc.constantFrom(...acting, "\n", "\t"), fc.string({ unit: "binary" })), { maxLength: 8 })
  .map((parts) => parts.join(""));
test("nothing that a terminal acts on is left in a text, and escaping twice is escaping once", () => {
  fc.assert(
    fc.property(text, (given) => {
      const [line, lines] = [escapeControls(given), escapeLines(given)];
      expect(dangerousIn(line)).toEqual([]);
      expect(line).not.toMatch(/[\n\t]/);
      expect(dangerousIn(lines)).toEqual([]);
      expect(lines.split("\n")).toHaveLength(given.split("\n").length);
      expect(escapeControls(line)).toBe(line);
      expect(escapeLines(lines)).toBe(lines);
    }),
  );
});

test("texts of every script stay as they are", () => {
  for (const given of ["naïve café", "北京大学", "สวัสดี", "مرحبا ٣", "a‌b", "👩‍👩‍👧", "\u0600١٢", "é", "𝒳"])
    expect(escapeControls(given)).toBe(given);
  expect(escapeControls("a\u202eb\u001b[2J\u0085\n\t\r")).toBe("a\\u{202e}b\\x1b[2J\\x85\\n\\t\\r");
});

test("JSON lines hold the same value and no such character", () => {
  fc.assert(
    fc.property(fc.dictionary(text, fc.oneof(text, fc.array(text), fc.double())), (value) => {
      const json = jsonLine(value);
      expect(dangerousIn(json)).toEqual([]);
      expect(json).not.toContain("\n");
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("cells and titles of tables are one line each", () => {
  fc.assert(
    fc.property(text, text, (title, cell) => {
      for (const table of [textTable, markdownTable]) {
        const shown = table([{ title: `t${title}` }, { title: "n" }], [[`c${cell}`, 1]]);
        expect(dangerousIn(shown)).toEqual([]);
        expect(shown.split("\n")).toHaveLength(table === textTable ? 2 : 3);
      }
    }),
  );
});
