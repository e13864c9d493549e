/** From the logits of passes to a tag for every word. Legend: C tags. */
import type { HeadOutput } from "./task.ts";
import type { EncodedWords } from "./words.ts";

/** The words that a sequence answers for, and where in it. */
export function* answeredWords(
  encoded: EncodedWords,
  row: number,
): Generator<readonly [word: number, position: number]> {
  const { answerStarts, answered, positions } = encoded;
  for (let i = answerStarts[row]!; i < answerStarts[row + 1]!; i++) yield [answered[i]!, positions[i]!];
}

/** Hands out the logits `[C]` of every word in a pass. */
export function* wordLogits(
  encoded: EncodedWords,
  { rows, logits }: HeadOutput,
  width: number,
): Generator<readonly [word: number, logits: Float64Array]> {
  for (const [b, row] of rows.entries()) {
    for (const [word, position] of answeredWords(encoded, row)) {
      const at = (position * rows.length + b) * width;
      yield [word, Float64Array.from({ length: width }, (_, i) => logits[at + i]!)];
    }
  }
}

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

  of(example: number): string[] {
    const [start, end] = [this.#encoded.wordStarts[example]!, this.#encoded.wordStarts[example + 1]!];
    return Array.from(this.chosen.subarray(start, end), (label) => this.#labels[label]!);
  }
}
