/** A tokenizer whose tokens tell where they come from: one token per character, its id the character's code. */
import type { TextPieces, Tokenizer, WordPieces } from "ptuning/internal/text";

/** Special tokens `1 … 2`, and `1 a 2 b 2` (`separators: 1`) or `1 a 2 2 b 2` around pairs. */
export function characterTokenizer(separators: 1 | 2 = 1): Tokenizer {
  const codes = (text: string): number[] => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const startsOf = (parts: readonly number[][]): Int32Array => {
    const starts = [0];
    for (const part of parts) starts.push(starts.at(-1)! + part.length);
    return Int32Array.from(starts);
  };
  return {
    specialTokens: { cls: 1, sep: 2, pad: 0 },
    addedTokens: { single: 2, pair: 2 + separators },
    assemble(first, second) {
      const middle =
        second === undefined ? [] : [...Array<number>(separators).fill(2), ...Array.from(second)];
      const ids = Int32Array.from([1, ...Array.from(first), ...middle, 2]);
      const secondStart = second === undefined ? undefined : 1 + first.length + separators;
      const typeIds = Uint8Array.from(ids, (_, i) => (secondStart !== undefined && i >= secondStart ? 1 : 0));
      return { ids, typeIds, firstStart: 1, secondStart };
    },
    encode: () => Promise.reject(new Error("not used")),
    async encodeWords(sentences): Promise<WordPieces> {
      const parts = sentences.map((words) => words.flatMap(codes));
      const wordIds = sentences.flatMap((words) => words.flatMap((word, i) => codes(word).map(() => i)));
      return {
        count: sentences.length,
        ids: Int32Array.from(parts.flat()),
        starts: startsOf(parts),
        wordIds: Int32Array.from(wordIds),
      };
    },
    /** Blanks are no tokens. */
    async encodeTexts(texts): Promise<TextPieces> {
      const places = texts.map((text) => [...codes(text).keys()].filter((at) => text[at] !== " "));
      const parts = places.map((own, i) => own.map((at) => texts[i]!.charCodeAt(at)));
      return {
        count: texts.length,
        ids: Int32Array.from(parts.flat()),
        starts: startsOf(parts),
        charStarts: Int32Array.from(places.flat()),
        charEnds: Int32Array.from(places.flat(), (at) => at + 1),
      };
    },
  };
}

/** Words of the given lengths; the first character of word `i` is its own, the others are `#`. */
export function numberedWords(lengths: readonly number[]): string[] {
  return lengths.map((length, i) =>
    length === 0 ? "" : String.fromCharCode(0x4e00 + i) + "#".repeat(length - 1),
  );
}
