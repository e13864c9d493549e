import { greatest } from "../../core/index.ts";
import type { TokenExample } from "../example.ts";
import type { Format, FormatInput } from "../format.ts";
import type { ReadOptions } from "../options.ts";
import { cellsOf, column, columnFacts, isTag, sentencesOf } from "../sentences.ts";

async function* read(input: FormatInput): AsyncGenerator<TokenExample> {
  const { tokenColumn = 1, gold } = input.options;
  const { isWord, ...found } = await columnFacts(input, input.options.tagColumn);
  const tagColumn = input.options.tagColumn ?? found.tagColumn;
  for await (const sentence of sentencesOf(input, { isWord })) {
    try {
      const width = sentence.rows[0]!.length;
      const words = column(sentence, width === 1 ? 1 : tokenColumn, input);
      const isLabelled = gold !== false && (tagColumn !== undefined || width > tokenColumn);
      const tags = isLabelled ? column(sentence, tagColumn ?? width, input) : undefined;
      yield { words, ...(tags && { tags }), line: sentence.line };
    } catch (error) {
      input.reject(error);
    }
  }
}

/**
 * CoNLL columns (CoNLL-2003 and its kin): a word per line with its tag, separated by tabs or blanks, sentences
 * separated by blank lines. The first column is the word and the last the tag unless the options say otherwise.
 */
export const conll: Format = {
  title: "CoNLL columns",
  readers: { tokens: read },
  fits: ({ name, start }) => /\.(conll|conll\d*|bio|iob2?|ner)$/.test(name) || looksLikeColumns(name, start),
  guess: guessColumns,
};

/**
 * The words stand behind a column that counts them, the tags in the last column of tags: not always first and last. A
 * column of tags that is given stands, unless this file has its tags elsewhere.
 */
function guessColumns(start: string, { tagColumn: given }: ReadOptions): ReadOptions {
  const lines = start.split(/\r?\n/).slice(0, -1);
  const rows = lines.map((line) =>
    line.startsWith("#") || line.startsWith("-DOCSTART-") ? [] : cellsOf(line),
  );
  const width = greatest(rows.map((cells) => cells.length));
  const words = rows.filter((cells) => cells.length === width);
  const hasNumbers =
    width > 2 && rows.every((cells, i) => cells.length < width || follows(cells, rows[i - 1]));
  const tagColumns = Array.from({ length: width }, (_, i) => i + 1).filter((number) =>
    words.every((cells) => isTag(cells[number - 1]!)),
  );
  const tagColumn = tagColumns.at(-1);
  const isElsewhere = tagColumn !== undefined && given !== undefined && !tagColumns.includes(given);
  return {
    ...(hasNumbers && { tokenColumn: 2 }),
    ...((isElsewhere || (tagColumn !== undefined && tagColumn !== width && given === undefined)) && {
      tagColumn: tagColumn!,
    }),
  };
}

/** Whether a row's number is one more than that of the row before, or starts a sentence at 0 or 1. */
function follows([number = ""]: readonly string[], before: readonly string[] | undefined): boolean {
  if (!/^\d+$/.test(number)) return false;
  const isFirst = before === undefined || before.length === 0;
  return isFirst ? Number(number) <= 1 : Number(number) === Number(before[0]) + 1;
}

/** Lines of words with a tag in one column, or of words alone, and something between the sentences. */
function looksLikeColumns(name: string, start: string): boolean {
  if (/\.(csv|tsv|jsonl?|conllu)$/.test(name)) return false;
  if (start.startsWith("-DOCSTART-")) return true;
  const lines = start.split(/\r?\n/).slice(0, -1);
  const filled = lines.filter((line) => line.trim() !== "" && !line.startsWith("#")).slice(0, 50);
  if (filled.length === 0 || filled.length === lines.length) return false;
  const rows = filled.map(cellsOf);
  const width = rows[0]!.length;
  if (rows.some((cells) => cells.length !== width)) {
    return filled.every((line) => /[ \t]([BIESLU]-\S+|O)(\t.*)?$/.test(line));
  }
  if (width === 1) return rows.length > 1;
  return rows[0]!.some((_, i) => i > 0 && rows.every((cells) => isTag(cells[i]!)));
}
