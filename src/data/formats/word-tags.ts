import type { TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { recordLines } from "../lines.ts";

async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
  for await (const { line, text } of recordLines(input)) {
    if (text.trim() === "") continue;
    try {
      yield { ...sentence(text, line, input.path), line };
    } catch (error) {
      input.reject(error);
    }
  }
}

function sentence(text: string, line: number, path: string): { words: string[]; tags: string[] } {
  const words: string[] = [];
  const tags: string[] = [];
  // Some copies append ` <=> ` and the label of the whole sentence.
  const pairs = text.replace(/\s<=>(\s.*)?$/, "").trim();
  for (const pair of pairs.split(/[ \t]+/)) {
    // Words may contain colons, tags do not.
    const colon = pair.lastIndexOf(":");
    if (colon <= 0 || colon === pair.length - 1) {
      throw dataError(path, line, `expected word:TAG, got "${pair.slice(0, 40)}"`);
    }
    words.push(pair.slice(0, colon));
    tags.push(pair.slice(colon + 1));
  }
  return { words, tags };
}

/** A sentence per line, every word with its tag behind its last colon: `star:B-Actor wars:O` (MIT movie). */
export const wordTags: Format = {
  title: "word:TAG lines",
  readers: { tokens: read },
  fits: ({ start }) => /^\S+:([BI]-\S+|O)([ \t]\S+:([BI]-\S+|O))*([ \t]<=>.*)?\r?$/m.test(firstLine(start)),
};

function firstLine(start: string): string {
  return start.split("\n", 1)[0]!;
}
