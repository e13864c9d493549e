import { type SparseRows, sparseRows } from "../fit/index.ts";

/**
 * TF-IDF features of word 1- and 2-grams: words of two or more letters or digits, lower-cased; 1 + ln(tf);
 * idf = ln((1 + n) / (1 + df)) + 1; rows of length 1. The same as scikit-learn's
 * `TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)`.
 */
export class TfidfVectorizer {
  readonly #columns = new Map<string, number>();
  readonly #idf: Float64Array;

  /** Learns words and their frequencies from training texts. */
  constructor(texts: readonly string[]) {
    const frequency: number[] = [];
    for (const text of texts) {
      for (const gram of new Set(ngrams(text))) {
        let column = this.#columns.get(gram);
        if (column === undefined) {
          column = this.#columns.size;
          this.#columns.set(gram, column);
          frequency.push(0);
        }
        frequency[column]!++;
      }
    }
    this.#idf = Float64Array.from(frequency, (df) => Math.log((1 + texts.length) / (1 + df)) + 1);
  }

  transform(texts: readonly string[]): SparseRows {
    const rows = texts.map((text) => {
      const counts = new Map<number, number>();
      for (const gram of ngrams(text)) {
        const column = this.#columns.get(gram);
        if (column !== undefined) counts.set(column, (counts.get(column) ?? 0) + 1);
      }
      let norm = 0;
      for (const [column, count] of counts) {
        const value = (1 + Math.log(count)) * this.#idf[column]!;
        counts.set(column, value);
        norm += value * value;
      }
      for (const [column, value] of counts) counts.set(column, value / Math.sqrt(norm));
      return counts;
    });
    return sparseRows(rows, this.#columns.size);
  }
}

function ngrams(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}\p{M}_]{2,}/gu) ?? [];
  return [...words, ...words.slice(1).map((word, i) => `${words[i]} ${word}`)];
}
