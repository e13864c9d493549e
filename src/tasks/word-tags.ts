import { decodeTags, encodeSpans } from "../data/portable.ts";
import type { EncodedWords } from "./word-windows.ts";

/** The tags chosen so far; words that no window answers for stay `O`. */
export class ChosenTags {
  readonly #labels: readonly string[];
  readonly #encoded: EncodedWords;
  readonly chosen: Int32Array;

  constructor(encoded: EncodedWords, labels: readonly string[]) {
    this.#labels = labels;
    this.#encoded = encoded;
    this.chosen = new Int32Array(encoded.wordStarts.at(-1)!).fill(labels.indexOf("O"));
  }

  /** The tags of an example in IOB2, consistent as predictions give them: a span starts with `B`, whatever was chosen. */
  of(example: number): string[] {
    const [start, end] = [this.#encoded.wordStarts[example]!, this.#encoded.wordStarts[example + 1]!];
    const chosen = Array.from(this.chosen.subarray(start, end), (label) => this.#labels[label]!);
    return encodeSpans(decodeTags(chosen), chosen.length, "IOB2");
  }
}
