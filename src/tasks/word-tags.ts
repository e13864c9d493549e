/** Legend: N words of a sentence, B batch, S sequence, C tags. */
import { decodeTags, encodeSpans, tagRules } from "../data/portable.ts";
import { type TagChooser, type TagDecoding, tagChoosers, type WordScores } from "./tag-path.ts";
import type { HeadOutput } from "./task.ts";
import type { EncodedWords } from "./word-windows.ts";

/** What tags are chosen from, in the order of the logits, and how. */
export interface TagChoice {
  readonly labels: readonly string[];
  readonly decoding: TagDecoding;
}

/**
 * Told of every word that a window answers for, when its tag is chosen. Its logits are `logits[at]` and those behind it, one
 * for each tag; they change after the call.
 */
export type OnChosen = (word: number, tag: number, logits: WordScores, at: number) => void;

/** What the windows of a sentence have said, `[N, C]`, and how many have not answered. */
interface OpenSentence {
  readonly logits: WordScores;
  left: number;
}

/**
 * The tags of sentences, each chosen as soon as all its windows have answered. Words that no window answers for are `O`,
 * and the words beside them are chosen accordingly.
 */
export class ChosenTags {
  readonly #encoded: EncodedWords;
  readonly #labels: readonly string[];
  readonly #outside: number;
  readonly #choose: TagChooser;
  readonly #onChosen: OnChosen;
  readonly #chosen: Int32Array;
  readonly #isAnswered: Uint8Array;
  /** How many windows each sentence has. */
  readonly #windows: Int32Array;
  readonly #open = new Map<number, OpenSentence>();
  /** For sentences of one window, one after another. */
  #room: WordScores = new Float32Array(0);

  constructor(encoded: EncodedWords, { labels, decoding }: TagChoice, onChosen: OnChosen = () => {}) {
    this.#encoded = encoded;
    this.#labels = labels;
    this.#outside = labels.indexOf("O");
    this.#choose = tagChoosers[decoding](labels.length, tagRules(labels, "IOB2"));
    this.#onChosen = onChosen;
    this.#chosen = new Int32Array(encoded.wordStarts.at(-1)!).fill(this.#outside);
    this.#isAnswered = new Uint8Array(this.#chosen.length);
    this.#windows = new Int32Array(encoded.count);
    for (let row = 0; row < encoded.sequences.count; row++) this.#windows[this.#sentenceOf(row)]!++;
  }

  /** Takes the logits of a pass. */
  add(output: HeadOutput): void {
    for (const [b, row] of output.rows.entries()) {
      const sentence = this.#sentenceOf(row);
      const open = this.#open.get(sentence) ?? this.#opened(sentence, output);
      this.#copy(output, b, open.logits, sentence);
      open.left--;
      if (open.left > 0) this.#open.set(sentence, open);
      else this.#close(sentence, open);
    }
  }

  /** Chooses also where a window has not answered. */
  finish(): void {
    for (const [sentence, open] of this.#open) this.#close(sentence, open);
  }

  /** The tags of a sentence in IOB2, consistent however they were chosen: a span starts with `B`. */
  of(sentence: number): string[] {
    const [start, end] = this.#wordsOf(sentence);
    const chosen = Array.from(this.#chosen.subarray(start, end), (label) => this.#labels[label]!);
    return encodeSpans(decodeTags(chosen), chosen.length, "IOB2");
  }

  #sentenceOf(row: number): number {
    const { owners, sequences, count } = this.#encoded;
    return owners?.[row] ?? Math.floor((row * count) / sequences.count);
  }

  #wordsOf(sentence: number): readonly [start: number, end: number] {
    const { wordStarts } = this.#encoded;
    return [wordStarts[sentence]!, wordStarts[sentence + 1]!];
  }

  /** Room for the logits of a sentence, at first those of words that can only be `O`. */
  #opened(sentence: number, { logits: given }: HeadOutput): OpenSentence {
    const left = this.#windows[sentence]!;
    const width = this.#labels.length;
    const [start, end] = this.#wordsOf(sentence);
    const length = (end - start) * width;
    const Numbers = given instanceof Float32Array ? Float32Array : Float64Array;
    const isOwn = left > 1 || this.#room.length < length || !(this.#room instanceof Numbers);
    const logits = isOwn ? new Numbers(length) : this.#room;
    if (left === 1) this.#room = logits;
    logits.fill(Number.NEGATIVE_INFINITY, 0, length);
    for (let at = this.#outside; at < length; at += width) logits[at] = 0;
    return { logits, left };
  }

  #copy({ rows, logits: given }: HeadOutput, b: number, logits: WordScores, sentence: number): void {
    const { answerStarts, answered, positions } = this.#encoded;
    const [width, row] = [this.#labels.length, rows[b]!];
    const [start] = this.#wordsOf(sentence);
    for (let i = answerStarts[row]!; i < answerStarts[row + 1]!; i++) {
      const word = answered[i]!;
      const [from, to] = [(positions[i]! * rows.length + b) * width, (word - start) * width];
      for (let tag = 0; tag < width; tag++) logits[to + tag] = given[from + tag]!;
      this.#isAnswered[word] = 1;
    }
  }

  #close(sentence: number, { logits }: OpenSentence): void {
    this.#open.delete(sentence);
    const [start, end] = this.#wordsOf(sentence);
    const chosen = this.#chosen.subarray(start, end);
    this.#choose(logits, end - start, chosen);
    for (let i = 0; i < end - start; i++) {
      if (this.#isAnswered[start + i] === 1)
        this.#onChosen(start + i, chosen[i]!, logits, i * this.#labels.length);
    }
  }
}

/** ln Σ exp of a word's logits. */
export function wordLogSum(logits: WordScores, at: number, width: number): number {
  let largest = logits[at]!;
  for (let i = at + 1; i < at + width; i++) if (logits[i]! > largest) largest = logits[i]!;
  let total = 0;
  for (let i = at; i < at + width; i++) total += Math.exp(logits[i]! - largest);
  return largest + Math.log(total);
}
