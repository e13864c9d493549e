import type { TokenExample } from "../example.ts";
import { dataError, type Format, type FormatInput } from "../format.ts";
import { column, type Sentence, sentencesOf, splitTabs } from "../sentences.ts";

/** Rows of words: without ranges of multi-word tokens (`3-4`) and empty nodes (`3.1`). */
export function wordsOf(sentence: Sentence, input: FormatInput): Sentence {
  const rows = sentence.rows.filter(([id]) => !/^\d+[-.]\d+$/.test(id!));
  const wrong = rows.findIndex(([id]) => !/^\d+$/.test(id!));
  if (wrong < 0 && rows.length > 0) return { ...sentence, rows };
  const got = rows[wrong]?.[0] ?? "";
  throw dataError(
    input.path,
    sentence.line + Math.max(0, wrong),
    `expected the number of a word, got "${got}"`,
  );
}

async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
  for await (const sentence of sentencesOf(input, { split: splitTabs })) {
    const id = sentence.comments
      .find((comment) => /^sent_id\s*=/.test(comment))
      ?.replace(/^sent_id\s*=\s*/, "");
    input.begin(sentence.line, { id });
    try {
      const rows = wordsOf(sentence, input);
      const width = rows.rows[0]!.length;
      const words = column(rows, input.options.tokenColumn ?? 2, input);
      // Ten columns are Universal Dependencies: the fourth is the part of speech. Three end with the tag.
      const tags =
        width < 3 || input.options.gold === false
          ? undefined
          : column(rows, input.options.tagColumn ?? (width >= 10 ? 4 : width), input);
      const text = sentence.comments
        .find((comment) => /^text\s*=/.test(comment))
        ?.replace(/^text\s*=\s*/, "");
      const offsets = text === undefined ? undefined : offsetsIn(text, words);
      yield {
        words,
        ...(tags && { tags }),
        ...(text !== undefined && offsets && { text, offsets }),
        line: sentence.line,
      };
    } catch (error) {
      input.reject(error);
    }
  }
}

/** The place of each word in a text, if all occur in order with only blanks between them. */
function offsetsIn(text: string, words: readonly string[]): (readonly [number, number])[] | undefined {
  const offsets: (readonly [number, number])[] = [];
  let end = 0;
  for (const word of words) {
    const start = text.indexOf(word, end);
    if (start < 0 || text.slice(end, start).trim() !== "") return undefined;
    end = start + word.length;
    offsets.push([start, end]);
  }
  return offsets;
}

/** CoNLL-U, and its three-column form `number, word, tag` (WikiNEuRal). */
export const conllu: Format = {
  title: "CoNLL-U",
  readers: { tokens: read },
  fits: ({ name, start }) =>
    /\.conllu$/.test(name) || /^(#.*\r?\n)*1\t[^\t\n]+(\t[^\t\n]*){8}\r?\n/.test(start),
};
