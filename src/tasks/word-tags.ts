/** Legend: N words of a sentence, B batch, S sequence, C tags. */
import { decodeTags, encodeSpans } from "../data/portable.ts";
import type { TagChooser, WordScores } from "./tag-path.ts";
import type { HeadOutput } from "./task.ts";
import type { EncodedWords } from "./word-windows.ts";

/** What tags are chosen from, in the order of the logits, and how: in one way, or in several to compare them. */
export interface TagChoice {
  readonly labels: readonly string[];
  readonly ways: readonly (() => TagChooser)[];
}

/**
 * Told of every word that a window answers for, when its tag is chosen, by the first way. Its logits are `logits[at]` and those behind it, one
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
  readonly #choosers: readonly TagChooser[];
  readonly #onChosen: OnChosen;
  /** By each way. */
  readonly #chosen: readonly Int32Array[];
  readonly #isAnswered: Uint8Array;
  /** How many windows each sentence has. */
  readonly #windows: Int32Array;
  readonly #open = new Map<number, OpenSentence>();
  /** For sentences of one window, one after another. */
  #room: WordScores = new Float32Array(0);

  constructor(encoded: EncodedWords, { labels, ways }: TagChoice, onChosen: OnChosen = () => {}) {
    this.#encoded = encoded;
    this.#labels = labels;
    this.#outside = labels.indexOf("O");
    this.#choosers = ways.map((create) => create());
    this.#onChosen = onChosen;
    const words = encoded.wordStarts.at(-1)!;
    this.#chosen = ways.map(() => new Int32Array(words).fill(this.#outside));
    this.#isAnswered = new Uint8Array(words);
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
  of(sentence: number, way = 0): string[] {
    const [start, end] = this.#wordsOf(sentence);
    const chosen = Array.from(this.#chosen[way]!.subarray(start, end), (label) => this.#labels[label]!);
    return encodeSpans(decodeTags(chosen), chosen.length, "IOB2");
  }

  /** Whether all words with a gold tag that is learnt have the same, although their gold tags differ. */
  isCollapsed(way = 0): boolean {
    const [chosen, gold] = [new Set<number>(), new Set<number>()];
    for (const [word, label] of this.#encoded.labels.entries()) {
      if (label < 0 || this.#isAnswered[word] === 0) continue;
      chosen.add(this.#chosen[way]![word]!);
      gold.add(label);
    }
    return gold.size > 1 && chosen.size === 1;
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
    const chosen = this.#chosen.map((all) => all.subarray(start, end));
    for (const [way, choose] of this.#choosers.entries()) choose(logits, end - start, chosen[way]!);
    for (let i = 0; i < end - start; i++) {
      if (this.#isAnswered[start + i] === 0) continue;
      this.#onChosen(start + i, chosen[0]![i]!, logits, i * this.#labels.length);
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
