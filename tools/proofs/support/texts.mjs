/** Texts that tokenizers are compared on. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** Characters and lengths that tokenizers treat in ways of their own; what the goldens say something about. */
export const oddTexts = JSON.parse(
  readFileSync(new URL("../../../test/golden/tokenizers/texts.json", import.meta.url), "utf8"),
);

/** Every string of JSON files, every line of others; each text once. */
export function everyText(folder) {
  const texts = new Set();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    const content = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
    if (/\.json(\.gz)?$/.test(path)) addStrings(texts, JSON.parse(content));
    else {
      for (const line of content.split(/\r?\n/)) {
        if (/\.jsonl(\.gz)?$/.test(path) && line !== "") addStrings(texts, JSON.parse(line));
        else texts.add(line);
      }
    }
  }
  return [...texts].filter((text) => !/\p{Surrogate}/u.test(text));
}

function addStrings(texts, value) {
  if (typeof value === "string") texts.add(value);
  else if (value !== null && typeof value === "object") {
    for (const part of Object.values(value)) addStrings(texts, part);
  }
}

/** What a piece of SentencePiece covers, as tokenizer_kinds.py has it: without blanks, controls and accents at its ends. */
export function cover(text, start, end) {
  if (text.charCodeAt(start) === 0x20 && start < end) start++;
  if (start < end && isPlain(text.charCodeAt(start)) && isPlain(text.charCodeAt(end - 1)))
    return [start, end];
  const piece = text.slice(start, end);
  const before = piece.match(/^[\s\p{Z}\p{C}\p{M}]*/u)[0].length;
  if (before === piece.length) return [-1, -1];
  return [start + before, end - piece.match(/[\s\p{Z}\p{C}\p{M}]*$/u)[0].length];
}

/** No blank, nothing but ASCII. */
const isPlain = (code) => code > 0x20 && code < 0x7f;
